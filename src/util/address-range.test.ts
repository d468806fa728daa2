import { expect, test } from "vitest";
import { fc } from "../../test/properties.ts";
import {
  type AddressRange,
  highestOutside,
  parseAddressRange,
  rangeAt,
  rangesOverlap,
  sizeWithin,
} from "./address-range.ts";

test.for([
  ["10.0.0.10-10.0.0.20", "10.0.0.10-10.0.0.20", 11n],
  ["10.0.0.10-10.0.0.10", "10.0.0.10-10.0.0.10", 1n],
  ["10.0.0.0/28", "10.0.0.0/28", 16n],
  ["10.0.0.7/28", "10.0.0.0/28", 16n],
  ["10.0.0.7", "10.0.0.7", 1n],
  ["FD00:0::1-fd00::00ff", "fd00::1-fd00::ff", 255n],
  ["FD00:0::/120", "fd00::/120", 256n],
  ["fd00:0::9", "fd00::9", 1n],
] as const)("%s is the range %s of %d addresses", ([text, canonical, size]) => {
  const range = parseAddressRange(text)!;
  expect(range.text).toBe(canonical);
  expect(range.last - range.first + 1n).toBe(size);
  expect(parseAddressRange(canonical)).toEqual(range);
});

test.for([
  "",
  "-",
  "10.0.0.9-10.0.0.1",
  "10.0.0.1-",
  "-10.0.0.1",
  "10.0.0.1-10.0.0.2-10.0.0.3",
  "10.0.0.1 - 10.0.0.2",
  "10.0.0.0/33",
  "10.0.0.0/28-10.0.0.40",
  "10.0.0.1-fd00::1",
  "fd00::1-10.0.0.1",
  "fd00::1%eth0",
  "web",
])("%j is no range", (text) => {
  expect(parseAddressRange(text)).toBeUndefined();
});

test("ranges overlap if they share an address, and those of two families never do", () => {
  const overlap = (a: string, b: string) =>
    rangesOverlap(parseAddressRange(a)!, parseAddressRange(b)!);
  expect(overlap("10.0.0.1-10.0.0.5", "10.0.0.5-10.0.0.9")).toBe(true);
  expect(overlap("10.0.0.0/24", "10.0.0.7")).toBe(true);
  expect(overlap("10.0.0.1-10.0.0.5", "10.0.0.6-10.0.0.9")).toBe(false);
  expect(overlap("0.0.0.1", "::1")).toBe(false);
});

/** Ranges without overlaps, the lowest first, and the addresses in them, all below 64. */
const drawn = fc.uniqueArray(fc.integer({ min: 0, max: 63 }), { maxLength: 12 }).map((bounds) => {
  const sorted = bounds.sort((a, b) => a - b);
  const ranges: AddressRange[] = [];
  for (let i = 0; i + 1 < sorted.length; i += 2) {
    const [first, last] = [BigInt(sorted[i]!), BigInt(sorted[i + 1]!)];
    ranges.push({ family: 4, first, last, text: `${first}-${last}` });
  }
  return ranges;
});
const address = fc.bigInt({ min: 0n, max: 63n });
const isIn = (ranges: readonly AddressRange[], one: bigint) =>
  ranges.find(({ first, last }) => one >= first && one <= last);

test("the highest address outside of ranges is what a look at each address finds", () => {
  fc.assert(
    fc.property(drawn, address, address, fc.uniqueArray(address), (ranges, from, to, used) => {
      const isFree = (one: bigint) => !used.includes(one);
      let expected: bigint | undefined = from;
      while (expected >= to && (isIn(ranges, expected) !== undefined || !isFree(expected))) {
        expected -= 1n;
      }
      if (expected < to) expected = undefined;
      expect(highestOutside(from, to, ranges.toReversed(), isFree)).toBe(expected);
    }),
  );
});

test("the range at an address, and the size of a part, are what a look at each address finds", () => {
  fc.assert(
    fc.property(drawn, address, address, (ranges, first, last) => {
      expect(rangeAt(ranges, first)).toBe(isIn(ranges, first));
      for (const range of ranges) {
        let size = 0n;
        for (let one = first; one <= last; one++) if (isIn([range], one)) size += 1n;
        expect(sizeWithin(range, first, last)).toBe(size);
      }
    }),
  );
});

test("a range is skipped, however large it is", () => {
  const ranges = ["fd00::1:0:0:0/80", "fd00::8000:0:0:0/65"].map(
    (text) => parseAddressRange(text)!,
  );
  let asked = 0;
  const isFree = () => {
    asked += 1;
    return true;
  };
  const top = ranges[1]!.last;
  expect(highestOutside(top, 0n, ranges.toReversed(), isFree)).toBe(ranges[1]!.first - 1n);
  expect(asked).toBe(1);
});
