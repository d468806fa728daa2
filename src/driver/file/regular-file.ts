import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { errorCode } from "../../util/errno.ts";

/** A link in the file's place is not followed, and a FIFO does not wait for its other end. */
const READ_ONLY = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** What the path leads to is no file that can be opened so: nothing, a link, a socket, a device without a driver. */
const NO_FILE: readonly unknown[] = ["ENOENT", "ELOOP", "ENXIO", "ENODEV"];

/**
 * Opens a file for reading where others than root may have had their hands in its folder. Undefined for what
 * is not there, and for all that is no regular file itself: what a link leads to is not ours to read.
 */
export async function openRegular(path: string): Promise<FileHandle | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, READ_ONLY);
  } catch (error) {
    if (isNoFile(error)) return undefined;
    throw error;
  }
  if ((await file.stat()).isFile()) return file;
  await file.close();
  return undefined;
}

/** The whole content, as `openRegular`. */
export async function readRegular(path: string): Promise<Buffer | undefined> {
  await using file = await openRegular(path);
  return await file?.readFile();
}

/** As `readRegular`, for threads that block anyway. */
export function readRegularSync(path: string): Buffer | undefined {
  let file: number;
  try {
    file = openSync(path, READ_ONLY);
  } catch (error) {
    if (isNoFile(error)) return undefined;
    throw error;
  }
  try {
    return fstatSync(file).isFile() ? readFileSync(file) : undefined;
  } finally {
    closeSync(file);
  }
}

/** Whether there is a regular file itself, no link to one. */
export function isRegular(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function isNoFile(error: unknown): boolean {
  return NO_FILE.includes(errorCode(error));
}
