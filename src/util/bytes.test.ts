import { expect, test } from "vitest";
import { fc } from "../../test/properties.ts";
import { formatBytes, formatBytesRounded, parseBytes } from "./bytes.ts";
import { kindOf } from "./errors.ts";

test.each([
  ["0", 0n],
  ["1073741824", 1073741824n],
  ["1B", 1n],
  ["1KiB", 1024n],
  ["1Ki", 1024n],
  ["512MiB", 536870912n],
  ["512 MiB", 536870912n],
  ["10GiB", 10737418240n],
  ["1.5GiB", 1610612736n],
  ["1kB", 1000n],
  ["1KB", 1000n],
  ["1GB", 1000000000n],
  ["0.5kB", 500n],
  ["18446744073709551615", 18446744073709551615n],
])("%s is %s bytes", (text, bytes) => {
  expect(parseBytes(text)).toBe(bytes);
});

test.each([
  ["", /not a size/],
  ["-1", /not a size/],
  ["GiB", /not a size/],
  ["1,5GiB", /not a size/],
  ["1e9", /not a size/],
  ["0x10", /not a size/],
  ["10G", /write GiB or GB/],
  ["10gib", /write GiB or GB/],
  ["10X", /KiB, MiB, GiB or TiB/],
  ["0.5B", /whole number/],
  ["1.0000001KiB", /whole number/],
  ["16EiB", /above/],
  ["18446744073709551616", /above/],
  ["9".repeat(5000), /not a size/],
])("%s is refused, saying why", (text, why) => {
  expect(() => parseBytes(text)).toThrow(why);
  expect(() => parseBytes(text)).toThrow(
    expect.toSatisfy((e: unknown) => kindOf(e) === "invalid_argument"),
  );
});

const anyBytes = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

test("the exact form is read back as the same number", () => {
  fc.assert(fc.property(anyBytes, (bytes) => parseBytes(formatBytes(bytes)) === bytes));
});

test("the exact form of a round size is short", () => {
  expect(formatBytes(0n)).toBe("0B");
  expect(formatBytes(10n << 30n)).toBe("10GiB");
  expect(formatBytes((1n << 64n) - 1n)).toBe("18446744073709551615B");
});

test("the rounded form is never more than the size, and less by under a tenth of its unit", () => {
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      const text = formatBytesRounded(bytes);
      expect(text.length).toBeLessThanOrEqual(9);
      const [, whole = "", tenth = "0", unit = ""] = /^(\d+)(?:\.(\d))?(\D+)$/.exec(text) ?? [];
      const unitBytes = parseBytes(`1${unit}`);
      const shown = BigInt(whole + tenth) * unitBytes;
      expect(shown <= bytes * 10n && bytes * 10n < shown + unitBytes).toBe(true);
    }),
  );
});

test("any text is either a size or refused as an argument", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        expect(parseBytes(text)).toBeGreaterThanOrEqual(0n);
      } catch (reason) {
        expect(kindOf(reason)).toBe("invalid_argument");
      }
    }),
  );
});
