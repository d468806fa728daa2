import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { open, rm } from "node:fs/promises";
import { errorCode, isAbsent } from "../../../util/errno.ts";
import type { SparseFile } from "../image/blank-qcow2.ts";
import { diskFull, readOnly } from "../volume-errors.ts";

/** The error in words for clients, if the disk is the reason; otherwise the error itself. */
export function asDiskError(error: unknown): unknown {
  switch (errorCode(error)) {
    case "ENOSPC":
    // A quota has the same effect for the client.
    case "EDQUOT":
      return diskFull(error);
    case "EROFS":
      return readOnly(error);
    default:
      return error;
  }
}

/** The first `bytes` of a file, or all of a shorter one. */
export async function readHead(path: string, bytes: number): Promise<Uint8Array> {
  await using file = await open(path, "r");
  return await readAt(file, 0, bytes);
}

/** The last `bytes` of a file, or all of a shorter one. */
export async function readTail(path: string, bytes: number): Promise<Uint8Array> {
  await using file = await open(path, "r");
  const { size } = await file.stat();
  return await readAt(file, Math.max(0, size - bytes), bytes);
}

async function readAt(file: FileHandle, offset: number, bytes: number): Promise<Uint8Array> {
  const buffer = Buffer.alloc(bytes);
  let length = 0;
  while (length < bytes) {
    const { bytesRead } = await file.read(buffer, length, bytes - length, offset + length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}

/** Writes a new file. The gaps between the pieces take no space. */
export async function writeSparse(
  path: string,
  { lengthBytes, pieces }: SparseFile,
): Promise<void> {
  await using file = await open(path, "wx", 0o600);
  await file.truncate(lengthBytes);
  for (const { offset, bytes } of pieces) await file.write(bytes, 0, bytes.length, offset);
}

/** Makes the content of a file, or the names in a folder, outlive a power cut. */
export async function sync(path: string): Promise<void> {
  await using handle = await open(path, "r");
  await handle.sync();
}

const AT_ONCE = 16;

/** Reads about each of `items`, several at a time, and returns the results in their order. Not for changes. */
export async function readEach<T, R>(
  items: readonly T[],
  read: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += AT_ONCE) {
    results.push(...(await Promise.all(items.slice(at, at + AT_ONCE).map(read))));
  }
  return results;
}

export async function removeAll(paths: readonly string[]): Promise<void> {
  for (const path of paths) await rm(path, { force: true });
}

const READ_BYTES = 256 * 1024;

/**
 * The bytes of a file from `offset` to before `end`. The file is open only while somebody reads. `afterRead` is
 * called between reading some bytes and returning them. Throws the error from `changed` if the file is gone or
 * shorter.
 */
export async function* readRange(
  path: string,
  { offset, end }: { readonly offset: bigint; readonly end: bigint },
  signal: AbortSignal,
  afterRead: (file: FileHandle) => Promise<void>,
  changed: () => Error,
): AsyncGenerator<Uint8Array> {
  if (offset >= end) return;
  await using file = await open(path, "r").catch((error: unknown) => {
    throw isAbsent(error) ? changed() : error;
  });
  for (let at = Number(offset); at < Number(end); ) {
    signal.throwIfAborted();
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, Number(end) - at));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) throw changed();
    at += bytesRead;
    await afterRead(file);
    yield buffer.subarray(0, bytesRead);
  }
}

/** The digest of the whole content of a file, in hexadecimal digits. */
export async function sha256Of(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  await using file = await open(path, "r");
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  for (;;) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, buffer.length);
    if (bytesRead === 0) return hash.digest("hex");
    hash.update(buffer.subarray(0, bytesRead));
  }
}
