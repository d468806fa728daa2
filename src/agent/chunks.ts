/**
 * The same bytes in pieces of `sizeBytes`; the last one may be shorter. Reads its input only as fast as the
 * pieces are read.
 */
export async function* chunksOf(
  bytes: AsyncIterable<Uint8Array>,
  sizeBytes: number,
): AsyncGenerator<Uint8Array, void> {
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  for await (const piece of bytes) {
    let rest = piece;
    while (heldBytes + rest.length >= sizeBytes) {
      const part = rest.subarray(0, sizeBytes - heldBytes);
      yield joined(held, part);
      rest = rest.subarray(part.length);
      held = [];
      heldBytes = 0;
    }
    if (rest.length === 0) continue;
    held.push(rest);
    heldBytes += rest.length;
  }
  if (heldBytes > 0) yield joined(held, new Uint8Array(0));
}

function joined(held: readonly Uint8Array[], last: Uint8Array): Uint8Array {
  return held.length === 0 ? last : Buffer.concat([...held, last]);
}
