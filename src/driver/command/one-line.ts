const LENGTH_MAX = 240;

/**
 * What a program of the node said, in one line, for a message that a client reads. Of a path it keeps the
 * last part: where the files lie on a node is nobody's business.
 */
export function inOneLine(text: string): string {
  const line = text
    .replace(/(?<![\w.])\/(?!dev\/)(?:[^\s/'"\]]+\/)+/g, "")
    .replace(/[\s\p{Cc}]+/gu, " ")
    .trim();
  return line.length <= LENGTH_MAX ? line : `${line.slice(0, LENGTH_MAX - 1)}…`;
}

/** The last line of what it printed, as `inOneLine` makes it; empty where it printed nothing. */
export function lastLine(printed: string): string {
  return inOneLine(printed.split("\n").findLast((line) => line.trim() !== "") ?? "");
}
