import { expect, test } from "vitest";
import { burstBytesOf, checkNicRate } from "./nic-rate.ts";

const KiB = 1n << 10n;
const rate = (bitsPerSecond: bigint, burstBytes = 0n) => ({ bitsPerSecond, burstBytes });

test.each([
  rate(0n),
  rate(64_000n),
  rate(10n ** 12n),
  rate(10_000_000n, 64n * KiB),
  rate(10_000_000n, 1n << 30n),
])("$bitsPerSecond bits per second with a burst of $burstBytes are allowed", (one) => {
  expect(() => checkNicRate("ingress_", one)).not.toThrow();
});

test.each([
  ["bits_per_second", rate(1n)],
  ["bits_per_second", rate(63_999n)],
  ["bits_per_second", rate(10n ** 12n + 1n)],
  ["burst_bytes", rate(0n, 64n * KiB)],
  ["burst_bytes", rate(10_000_000n, 64n * KiB - 1n)],
  ["burst_bytes", rate(10_000_000n, (1n << 30n) + 1n)],
])("a wrong %s is refused by its name", (field, one) => {
  expect(() => checkNicRate("nics[1].egress_", one)).toThrow(`nics[1].egress_${field}`);
});

test("a burst has a default", () => {
  expect(burstBytesOf(rate(64_000n))).toBe(256n * KiB);
  expect(burstBytesOf(rate(64_000n, 77_777n))).toBe(77_777n);
});
