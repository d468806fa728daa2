import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { get, isLocalAddress } from "./web.ts";

const server = createServer((_, response) => response.end("secret"));
let port = 0;

beforeAll(async () => {
  await once(server.listen(0, "127.0.0.1"), "listening");
  port = (server.address() as AddressInfo).port;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

test.each([
  ["127.0.0.1", true],
  ["127.9.9.9", true],
  ["169.254.169.254", true],
  ["0.0.0.0", true],
  ["::", true],
  ["::1", true],
  ["fe80::1", true],
  ["febf::1", true],
  ["::ffff:127.0.0.1", true],
  ["::ffff:a9fe:a9fe", true],
  ["10.0.0.1", false],
  ["169.253.1.1", false],
  ["192.0.2.1", false],
  ["fec0::1", false],
  ["2001:db8::1", false],
  ["::ffff:10.0.0.1", false],
])("%s is local: %s", (address, expected) => {
  expect(isLocalAddress(address)).toBe(expected);
});

test.each([
  "127.0.0.1",
  "127.1",
  "0x7f000001",
  "2130706433",
  "0",
  "[::1]",
  "[::ffff:127.0.0.1]",
  "localhost",
])("nothing is read from %s, however it is written", async (host) => {
  const options = { allowLocalSources: false, signal: AbortSignal.timeout(5000) };
  await expect(get(new URL(`http://${host}:${port}/`), options)).rejects.toMatchObject({
    kind: "failed_precondition",
    message: expect.stringContaining("allow-local-sources"),
  });
});

test.each(["127.0.0.1", "localhost"])("%s is asked where that is allowed", async (host) => {
  const options = { allowLocalSources: true, signal: AbortSignal.timeout(5000) };
  const response = await get(new URL(`http://${host}:${port}/`), options);
  expect(Buffer.concat(await response.toArray()).toString()).toBe("secret");
});
