import { constants } from "node:fs";
import { type FileHandle, open, readlink, realpath } from "node:fs/promises";
import { basename, dirname, join, relative, sep } from "node:path";
import { ifThere } from "../../../util/errno.ts";
import { invalid } from "../../../util/errors.ts";
import { refused } from "../volume-errors.ts";

export interface OpenFile extends AsyncDisposable {
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly totalBytes: bigint;
}

const FIELD = "source_url";

/**
 * Opens a file of this node in one of these folders, or below.
 *
 * @throws N0Error `invalid_argument` for any other path; `failed_precondition` if the file does not exist.
 */
export async function openFile(path: string, allowedFolders: readonly string[]): Promise<OpenFile> {
  const folders = await realFolders(allowedFolders);
  const notAllowed = () => invalid(FIELD, "names a file outside the folders that this node allows");

  let real: string;
  try {
    real = await realpath(path);
  } catch (cause) {
    // Clients must not learn whether a path outside of the folders exists.
    if (!isInside(await realAsFarAsThere(path), folders)) throw notAllowed();
    throw refused("source_url: the node has no such file", cause);
  }
  if (!isInside(real, folders)) throw notAllowed();

  // O_NONBLOCK, so that a pipe in place of the file cannot block us.
  const file = await open(real, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    // The path may have changed since the check. The open file cannot.
    if (!isInside(await readlink(`/proc/self/fd/${file.fd}`), folders)) throw notAllowed();
    const stats = await file.stat({ bigint: true });
    if (!stats.isFile()) throw refused("source_url: is not a file");
    return {
      bytes: file.createReadStream({ autoClose: false, highWaterMark: 1024 * 1024 }),
      totalBytes: stats.size,
      [Symbol.asyncDispose]: () => close(file),
    };
  } catch (cause) {
    await close(file);
    throw cause;
  }
}

async function realFolders(folders: readonly string[]): Promise<string[]> {
  const real: string[] = [];
  for (const folder of folders) {
    const path = await ifThere(realpath(folder));
    // A configured folder that does not exist allows nothing.
    if (path !== undefined) real.push(path);
  }
  return real;
}

/** Resolves the existing part of `path`. */
async function realAsFarAsThere(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    // The root always exists, so this ends.
    return join(await realAsFarAsThere(dirname(path)), basename(path));
  }
}

function isInside(path: string, folders: readonly string[]): boolean {
  return folders.some((folder) => {
    const below = relative(folder, path);
    return below !== "" && below !== ".." && !below.startsWith(`..${sep}`);
  });
}

async function close(file: FileHandle): Promise<void> {
  await file.close();
}
