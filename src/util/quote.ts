const QUOTED_LENGTH_MAX = 80;

/** The text, or its beginning with "…" where it is longer. */
export function cut(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text;
  const end = lengthMax - 1;
  // Half of a pair of surrogates is no character.
  const isSplit = /[\ud800-\udbff]/.test(text.charAt(end - 1));
  return `${text.slice(0, isSplit ? end - 1 : end)}…`;
}

/**
 * Text from outside, as a message repeats it: in double quotes, on one line, and no more of it than tells
 * which text is meant. Whoever sends a megabyte is not sent a megabyte, and neither is the log.
 */
export function quote(text: string): string {
  return JSON.stringify(cut(text, QUOTED_LENGTH_MAX));
}

/** As `cut`, counted in the bytes that UTF-8 takes. */
export function cutBytes(text: string, bytesMax: number): string {
  // A character takes three bytes at most, two of them in two halves four.
  if (text.length * 3 <= bytesMax || Buffer.byteLength(text) <= bytesMax) return text;
  let lengthMax = Math.min(text.length, bytesMax - 2);
  let short = cut(text, lengthMax);
  while (Buffer.byteLength(short) > bytesMax) {
    lengthMax = Math.floor((lengthMax * bytesMax) / Buffer.byteLength(short)) - 1;
    short = cut(text, lengthMax);
  }
  return short;
}
