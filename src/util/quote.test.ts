import { expect, test } from "vitest";
import { fc } from "../../test/properties.ts";
import { cut, cutBytes, quote } from "./quote.ts";

test("short text is quoted whole, on one line", () => {
  expect(quote("web-1")).toBe('"web-1"');
  expect(quote('a"b\nc\u0000')).toBe('"a\\"b\\nc\\u0000"');
  expect(quote("x".repeat(80))).toBe(`"${"x".repeat(80)}"`);
});

test("of longer text the first 79 characters are shown", () => {
  expect(quote("x".repeat(81))).toBe(`"${"x".repeat(79)}…"`);
  expect(quote("x".repeat(15 << 20))).toHaveLength(82);
});

test("a character of two halves is left out whole", () => {
  expect(cut("abc😀def", 5)).toBe("abc…");
  expect(cut("abc😀def", 6)).toBe("abc😀…");
});

test("bytes are counted as UTF-8 has them", () => {
  expect(cutBytes("ä".repeat(10), 20)).toBe("ä".repeat(10));
  expect(cutBytes("ä".repeat(11), 20)).toBe(`${"ä".repeat(8)}…`);
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom("a", "ä", "中", "😀"), maxLength: 200 }),
      fc.nat(200),
      (text, more) => {
        const bytesMax = 16 + more;
        const short = cutBytes(text, bytesMax);
        if (Buffer.byteLength(text) <= bytesMax) return short === text;
        const isBeginning = short.endsWith("…") && text.startsWith(short.slice(0, -1));
        return isBeginning && Buffer.byteLength(short) <= bytesMax;
      },
    ),
  );
});
