import { expect, test } from "vitest";
import { collect } from "../../test/collect.ts";
import { fc } from "../../test/properties.ts";
import { chunksOf } from "./chunks.ts";

async function* pieces(lengths: readonly number[]) {
  let next = 0;
  for (const length of lengths) yield Uint8Array.from({ length }, () => next++ % 251);
}

test("the same bytes, all pieces of the size but the last", async () => {
  const lengths = fc.array(fc.nat({ max: 40 }), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(lengths, fc.integer({ min: 1, max: 17 }), async (given, size) => {
      const chunks = await collect(chunksOf(pieces(given), size));
      const whole = Buffer.concat(await collect(pieces(given)));
      expect(Buffer.concat(chunks).equals(whole)).toBe(true);
      expect(chunks.slice(0, -1).every((chunk) => chunk.length === size)).toBe(true);
      expect(chunks.length).toBe(Math.ceil(whole.length / size));
    }),
  );
});

test("reads no further than it is read", async () => {
  let read = 0;
  async function* endless() {
    for (;;) {
      read += 1;
      yield new Uint8Array(10);
    }
  }
  const chunks = chunksOf(endless(), 25);
  expect((await chunks.next()).value?.length).toBe(25);
  expect(read).toBe(3);
  await chunks.return();
});
