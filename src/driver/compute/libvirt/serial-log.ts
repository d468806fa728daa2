import { type FileHandle, lstat, readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Clock } from "../../../util/clock.ts";
import { pause } from "../../../util/clock.ts";
import { ifThere } from "../../../util/errno.ts";
import { openRegular } from "../../file/regular-file.ts";

const POLL_MS = 100;
const CHUNK_BYTES = 64 * 1024;

/**
 * The bytes of a log that virtlogd writes and rotates: `log` is the newest file, `log.0` the one before it, and
 * so on up. Oldest first. A missing log is empty. A link or any other non-file with the name of a log is
 * ignored.
 *
 * With `follow`, continues as the log grows, also over rotations, until `signal` aborts or the folder is
 * removed.
 */
export async function* readSerialLogFiles(
  path: string,
  follow: boolean,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  /** The file that was read last, by inode, since its name changes. */
  let current: FileHandle | undefined;
  try {
    for (;;) {
      // Read the rest of this file before the next one.
      const files = await listFiles(path);
      if (current !== undefined) yield* readToEnd(current);
      const next = await findNext(files, current);
      if (next !== undefined) {
        // A list from the middle of a rotation may miss a file, so go on only if two lists are equal.
        const confirmed = await findNext(await listFiles(path), current);
        if (confirmed?.path !== next.path || confirmed.inode !== next.inode) continue;
        const opened = await openIfThere(next);
        if (opened === undefined) continue;
        await current?.close();
        current = opened;
        continue;
      }
      if (!follow || signal.aborted || files === undefined) return;
      // If it aborts, read what has been written until now, and then end the loop.
      await pause(clock, POLL_MS, signal);
    }
  } finally {
    await current?.close();
  }
}

interface LogFile {
  readonly path: string;
  readonly inode: number;
}

/** Oldest first; undefined if the folder is gone. */
async function listFiles(path: string): Promise<LogFile[] | undefined> {
  const folder = dirname(path);
  const name = basename(path);
  const entries = await ifThere(readdir(folder));
  if (entries === undefined) return undefined;
  const backups = entries
    .filter((entry) => entry.startsWith(`${name}.`) && /^\d+$/.test(entry.slice(name.length + 1)))
    .map((entry) => Number(entry.slice(name.length + 1)))
    .sort((a, b) => b - a)
    .map((number) => join(folder, `${name}.${number}`));
  const files: LogFile[] = [];
  for (const candidate of [...backups, path]) {
    const found = await ifThere(lstat(candidate));
    if (found?.isFile() === true) files.push({ path: candidate, inode: found.ino });
  }
  return files;
}

/** The file after `current`, or the oldest one if `current` is undefined or has been rotated away. */
async function findNext(
  files: readonly LogFile[] | undefined,
  current: FileHandle | undefined,
): Promise<LogFile | undefined> {
  const inode = (await current?.stat())?.ino;
  const index = files?.findIndex((file) => file.inode === inode) ?? -1;
  return files?.[index + 1];
}

/** Undefined also if the file was rotated since it was listed: the next round lists again. */
async function openIfThere({ path, inode }: LogFile): Promise<FileHandle | undefined> {
  const handle = await openRegular(path);
  if (handle === undefined || (await handle.stat()).ino === inode) return handle;
  await handle.close();
  return undefined;
}

async function* readToEnd(handle: FileHandle): AsyncGenerator<Uint8Array> {
  for (;;) {
    const { bytesRead, buffer } = await handle.read(
      Buffer.alloc(CHUNK_BYTES),
      0,
      CHUNK_BYTES,
      null,
    );
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}
