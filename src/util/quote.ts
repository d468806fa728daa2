const QUOTED_LENGTH_MAX = 80;

/** The text, or its beginning and "…" if it is longer. */
export function cut(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text;
  const end = lengthMax - 1;
  // Half of a surrogate pair is not a character.
  const isSplit = /[\ud800-\udbff]/.test(text.charAt(end - 1));
  return `${text.slice(0, isSplit ? end - 1 : end)}…`;
}

/**
 * A text from outside, for a message: in double quotes, on one line, and only its beginning. A client that
 * sends a megabyte does not get it back, and the log does not hold it.
 */
export function quote(text: string): string {
  return JSON.stringify(cut(text, QUOTED_LENGTH_MAX));
}

/** Like `cut`, with the limit in bytes of UTF-8. */
export function cutBytes(text: string, bytesMax: number): string {
  // A character takes at most three bytes, or four for a surrogate pair.
  if (text.length * 3 <= bytesMax || Buffer.byteLength(text) <= bytesMax) return text;
  let lengthMax = Math.min(text.length, bytesMax - 2);
  let short = cut(text, lengthMax);
  while (Buffer.byteLength(short) > bytesMax) {
    lengthMax = Math.floor((lengthMax * bytesMax) / Buffer.byteLength(short)) - 1;
    short = cut(text, lengthMax);
  }
  return short;
}
