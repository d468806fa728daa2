import { closeSync, fstatSync, openSync, readSync } from "node:fs";

const LAST_LINES = 20;
const READ_BYTES = 1 << 20;
const READ_EVERY_MS = 100;

export interface LogWatch {
  /** Reads what has arrived. It also does so by itself, ten times a second. */
  read(): void;
  readonly bytes: () => number;
  readonly longestLine: () => number;
  readonly last: () => readonly string[];
  /** The address on which the server says that it listens. */
  readonly url: () => string | undefined;
  stop(): void;
}

/** Follows a log from its present end. Reports a line when it is complete, or, if very long, cut. */
export function watchLog(path: string, onLine: (line: string) => void): LogWatch {
  const file = openSync(path, "r");
  const start = fstatSync(file).size;
  let position = start;
  let [longest, rest, length] = [0, "", 0];
  let last: string[] = [];
  let url: string | undefined;
  const end = () => {
    longest = Math.max(longest, length);
    last = [...last.slice(1 - LAST_LINES), rest.slice(0, 500)];
    if (url === undefined && rest.includes('"message":"ready"')) url = readyUrl(rest);
    onLine(rest);
    [rest, length] = ["", 0];
  };
  const take = (text: string) => {
    const pieces = text.split("\n");
    for (const [i, piece] of pieces.entries()) {
      if (i > 0) end();
      length += piece.length;
      // A line of a gigabyte is counted, not kept.
      if (rest.length < READ_BYTES) rest += piece;
    }
  };
  const read = () => {
    const buffer = Buffer.alloc(READ_BYTES);
    for (;;) {
      const count = readSync(file, buffer, 0, READ_BYTES, position);
      if (count === 0) return;
      position += count;
      take(buffer.toString("latin1", 0, count));
    }
  };
  const timer = setInterval(read, READ_EVERY_MS);
  return {
    read,
    bytes: () => position - start,
    longestLine: () => longest,
    last: () => last,
    url: () => url,
    stop: () => {
      clearInterval(timer);
      read();
      closeSync(file);
    },
  };
}

function readyUrl(line: string): string | undefined {
  try {
    return String((JSON.parse(line) as { url: unknown }).url);
  } catch {
    return undefined;
  }
}
