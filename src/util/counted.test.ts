import { expect, test } from "vitest";
import { counted } from "./counted.ts";

test("only one of a thing has the noun without an s", () => {
  expect([0, 1, 2].map((count) => counted(count, "node"))).toEqual([
    "0 nodes",
    "1 node",
    "2 nodes",
  ]);
  expect(counted(2, "try", "tries")).toBe("2 tries");
});
