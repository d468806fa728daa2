import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  renameSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";

export interface LogFile {
  /** Appends whole lines. The kernel has them when it returns, so a crash of the process loses none. */
  write(lines: string): void;
  /** Continues in a new file of the same name, if the old one was renamed or removed. */
  reopen(): void;
}

const { O_APPEND, O_CREAT, O_WRONLY } = constants;

/**
 * The file of a log. Only its owner can read it. Before it would exceed `bytesMax`, it is renamed to
 * `<path>.1` and replaces the one before. Lines that cannot be written are lost, and a later line counts
 * them, because a full file system must not end the process.
 *
 * @param bytesMax 0 means no limit. A device or a pipe has no size.
 */
export function openLogFile(path: string, bytesMax: number): LogFile {
  mkdirSync(dirname(path), { recursive: true });
  let file = open(path);
  let lostCount = 0;

  function replaceWith(next: ReturnType<typeof open>): void {
    closeSync(file.descriptor);
    file = next;
  }

  function rotate(): void {
    renameSync(path, `${path}.1`);
    replaceWith(open(path));
  }

  function append(lines: string): void {
    const bytes = Buffer.byteLength(lines);
    if (bytesMax > 0 && file.bytes > 0 && file.bytes + bytes > bytesMax) rotate();
    const written = writeSync(file.descriptor, lines);
    if (written < bytes) writeFileSync(file.descriptor, Buffer.from(lines).subarray(written));
    if (file.isRegular) file.bytes += bytes;
  }

  return {
    write(lines) {
      try {
        if (lostCount > 0) append(lostLine(lostCount));
        lostCount = 0;
        append(lines);
      } catch {
        lostCount += 1;
      }
    },
    reopen: () => replaceWith(open(path)),
  };
}

function open(path: string) {
  const descriptor = openSync(path, O_APPEND | O_CREAT | O_WRONLY, 0o600);
  const stat = fstatSync(descriptor);
  return { descriptor, isRegular: stat.isFile(), bytes: stat.isFile() ? stat.size : 0 };
}

function lostLine(count: number): string {
  const time = new Date().toISOString();
  const message = "lines of this log could not be written";
  return `${JSON.stringify({ level: "warn", time, message, count })}\n`;
}
