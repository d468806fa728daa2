import { expect, test } from "vitest";
import { parseRange } from "./range.ts";

test.each([
  [undefined, undefined],
  ["bytes=0-0", [0n, 1n]],
  ["bytes=0-99", [0n, 100n]],
  ["bytes=10-19", [10n, 10n]],
  ["bytes=90-200", [90n, 10n]],
  ["bytes=99-", [99n, 1n]],
  ["bytes=-1", [99n, 1n]],
  ["bytes=-500", [0n, 100n]],
  ["bytes=100-", "unsatisfiable"],
  ["bytes=-0", "unsatisfiable"],
  ["bytes=5-4", undefined],
  ["bytes=-", undefined],
  ["bytes=0-1,3-4", undefined],
  ["lines=0-1", undefined],
  ["bytes=a-b", undefined],
] as const)("%s of 100 bytes", (header, expected) => {
  const range = parseRange(header, 100n);
  const got = typeof range === "object" ? [range.firstByte, range.lengthBytes] : range;
  expect(got).toEqual(expected);
});

test("nothing of an empty file can be asked for", () => {
  expect(parseRange("bytes=0-", 0n)).toBe("unsatisfiable");
});
