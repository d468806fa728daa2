const FIRST_CAPACITY = 4096;

/** Bytes that arrive in pieces of any size, and are taken in other pieces. */
export interface Bytes {
  readonly length: number;
  push(piece: Uint8Array): void;
  /** Takes the first `length` bytes, which must have arrived. */
  take(length: number): Uint8Array;
  /** The big-endian number at a place. */
  uint32At(at: number): number;
}

/**
 * Copies the pieces into one buffer that doubles, so that the cost of a byte does not depend on the size of
 * the pieces. It does not copy a piece that arrives and is taken as a whole.
 */
export function newBytes(): Bytes {
  let buffer: Uint8Array = new Uint8Array(0);
  let start = 0;
  let end = 0;
  let isOwn = true;
  const makeRoom = (more: number) => {
    const length = end - start;
    if (isOwn && end + more <= buffer.length) return;
    const capacity = Math.max(FIRST_CAPACITY, 2 ** Math.ceil(Math.log2(length + more)));
    const next = new Uint8Array(capacity);
    next.set(buffer.subarray(start, end));
    [buffer, start, end, isOwn] = [next, 0, length, true];
  };
  return {
    get length() {
      return end - start;
    },
    push: (piece) => {
      if (start === end) {
        [buffer, start, end, isOwn] = [piece, 0, piece.length, false];
        return;
      }
      makeRoom(piece.length);
      buffer.set(piece, end);
      end += piece.length;
    },
    take: (length) => {
      const taken = buffer.subarray(start, start + length);
      start += length;
      return taken;
    },
    uint32At: (at) => new DataView(buffer.buffer, buffer.byteOffset + start + at, 4).getUint32(0),
  };
}
