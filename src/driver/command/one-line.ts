const LENGTH_MAX = 240;

/**
 * The output of a program in one line, for a message to a client. Keeps only the last part of each path, since
 * clients need not know where files lie on a node.
 */
export function inOneLine(text: string): string {
  const line = text
    .replace(/(?<![\w.])\/(?!dev\/)(?:[^\s/'"\]]+\/)+/g, "")
    .replace(/[\s\p{Cc}]+/gu, " ")
    .trim();
  return line.length <= LENGTH_MAX ? line : `${line.slice(0, LENGTH_MAX - 1)}…`;
}

/** The last line of the output, in the form of `inOneLine`; empty if there was no output. */
export function lastLine(printed: string): string {
  return inOneLine(printed.split("\n").findLast((line) => line.trim() !== "") ?? "");
}
