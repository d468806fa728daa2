import { gzipSync } from "node:zlib";
import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { boundedGzip } from "./inflate.ts";

const MIB = 1 << 20;
const accept = () => {};

/** Inflates when it is told to. */
function slowly() {
  const atWork: { readonly bytesMax: number; end(): void }[] = [];
  const inflate = (_: Uint8Array, bytesMax: number) => {
    const { promise, resolve } = Promise.withResolvers<Uint8Array<ArrayBuffer>>();
    const mine = {
      bytesMax,
      end: () => {
        atWork.splice(atWork.indexOf(mine), 1);
        resolve(new Uint8Array());
      },
    };
    atWork.push(mine);
    return promise;
  };
  return { atWork, inflate };
}

test.each([
  { bytesMax: 16 * MIB, atOnce: 2 },
  { bytesMax: 4096, atOnce: 8 },
  { bytesMax: 100 * MIB, atOnce: 1 },
])("$atOnce that may become $bytesMax bytes are inflated at once", async (given) => {
  const { atWork, inflate } = slowly();
  const gzip = boundedGzip(inflate)(accept);
  const all = Array.from({ length: 10 }, () => gzip.decompress(new Uint8Array(), given.bytesMax));
  for (let left = 10; left > 0; left--) {
    await expect.poll(() => atWork.length).toBe(Math.min(left, given.atOnce));
    atWork[0]?.end();
  }
  await Promise.all(all);
});

test("what it inflates to is checked, bounded, and must be gzip", async () => {
  const seen: number[] = [];
  const gzip = boundedGzip()((message) => void seen.push(message.length));
  await gzip.decompress(gzipSync(Buffer.alloc(MIB)), MIB);
  expect(seen).toEqual([MIB]);
  const large = gzip.decompress(gzipSync(Buffer.alloc(MIB + 1)), MIB);
  await expect(large).rejects.toMatchObject({ code: Code.ResourceExhausted });
  const rubbish = gzip.decompress(Buffer.from("rubbish"), MIB);
  await expect(rubbish).rejects.toMatchObject({ code: Code.InvalidArgument });
  const refusing = boundedGzip()(() => {
    throw new Error("no");
  });
  await expect(refusing.decompress(gzipSync("a"), MIB)).rejects.toThrow("no");
});
