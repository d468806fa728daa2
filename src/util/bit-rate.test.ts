import { expect, test } from "vitest";
import { parseBitRate } from "./bit-rate.ts";
import { kindOf } from "./errors.ts";

test.each([
  ["0", 0n],
  ["10000000", 10_000_000n],
  ["10M", 10_000_000n],
  ["10Mbit", 10_000_000n],
  ["1.5 Gbit/s", 1_500_000_000n],
  ["64kbps", 64_000n],
  ["64K", 64_000n],
  ["0.001k", 1n],
  ["1T", 1_000_000_000_000n],
])("%s is %d bits per second", (text, rate) => {
  expect(parseBitRate(text)).toBe(rate);
});

test.each([
  "",
  "M",
  "-1M",
  "10MB",
  "10MiB",
  "1.5",
  "10 Mbit per second",
  "1e6",
  `1${"0".repeat(19)}T`,
])("%j is refused", (text) => {
  expect(
    kindOf(
      (() => {
        try {
          return parseBitRate(text);
        } catch (reason) {
          return reason;
        }
      })(),
    ),
  ).toBe("invalid_argument");
});
