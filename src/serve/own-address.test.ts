import { hostname } from "node:os";
import { expect, test } from "vitest";
import { addressOf, ownUrl } from "./own-address.ts";

test.each([
  ["127.0.0.1", 20180, false, "127.0.0.1:20180"],
  ["10.0.0.5", 1, true, "https://10.0.0.5:1"],
  ["fd00::5", 20180, false, "[fd00::5]:20180"],
  ["0.0.0.0", 20180, true, `https://${hostname()}:20180`],
  ["::", 20180, false, `${hostname()}:20180`],
])("what listens on %s:%i (TLS: %s) is at %s", (bindAddress, port, hasTls, expected) => {
  expect(addressOf(ownUrl(bindAddress, port, hasTls))).toBe(expected);
});
