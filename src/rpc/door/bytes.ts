const FIRST_CAPACITY = 4096;

/** Bytes that come in pieces, of any size, and are taken in others. */
export interface Bytes {
  readonly length: number;
  push(piece: Uint8Array): void;
  /** The first `length` of them, which there must be. */
  take(length: number): Uint8Array;
  /** The big-endian number at a place. */
  uint32At(at: number): number;
}

/**
 * They are copied into one buffer that doubles, so that a byte costs the same in whatever pieces it
 * comes. What comes and goes as one piece is not copied.
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
