import { expect, test } from "vitest";
import { fc } from "../../../test/properties.ts";
import { usedMs } from "../../../test/used-time.ts";
import { newBytes } from "./bytes.ts";

/** How many bytes come, or go, next. */
const steps = fc.array(
  fc.record({ isTaken: fc.boolean(), count: fc.oneof(fc.nat(20), fc.nat(10_000)) }),
);

test("bytes go as they came, in whatever pieces", () => {
  fc.assert(
    fc.property(steps, (all) => {
      const bytes = newBytes();
      const taken: Uint8Array[] = [];
      let next = 0;
      let takenCount = 0;
      for (const { isTaken, count } of all) {
        if (isTaken) {
          const length = Math.min(count, bytes.length);
          taken.push(bytes.take(length));
          takenCount += length;
        } else bytes.push(Uint8Array.from({ length: count }, () => next++ & 0xff));
        expect(bytes.length).toBe(next - takenCount);
        if (bytes.length >= 5) expect(bytes.uint32At(1) >>> 24).toBe((takenCount + 1) & 0xff);
      }
      // Looked at in the end: nothing that comes later changes what was taken.
      expect(Buffer.concat(taken)).toEqual(
        Buffer.from(Uint8Array.from({ length: takenCount }, (_, i) => i & 0xff)),
      );
    }),
    { numRuns: 200 },
  );
});

test("a byte costs the same in whatever pieces it comes", () => {
  const bytes = newBytes();
  const one = Uint8Array.of(1);
  const startMs = usedMs();
  for (let i = 0; i < 1 << 20; i++) bytes.push(one);
  expect(bytes.take(1 << 20)).toHaveLength(1 << 20);
  expect(usedMs() - startMs).toBeLessThan(2000);
});
