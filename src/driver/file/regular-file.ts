import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { errorCode } from "../../util/errno.ts";

/** Does not follow a link in place of the file, and does not wait for the other end of a FIFO. */
const READ_ONLY = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/**
 * The path does not name a file that can be opened so: nothing, a link, a socket, a device without a driver.
 */
const NO_FILE: readonly unknown[] = ["ENOENT", "ELOOP", "ENXIO", "ENODEV"];

/**
 * Opens a file for reading in a folder that others than root could write to. Undefined if it does not exist, or
 * is not a regular file itself: we must not read what a link leads to.
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

/** The whole content; opens like `openRegular`. */
export async function readRegular(path: string): Promise<Buffer | undefined> {
  await using file = await openRegular(path);
  return await file?.readFile();
}

/** Like `readRegular`, synchronous, for threads that block anyway. */
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

/** Whether the path itself is a regular file, and not a link to one. */
export function isRegular(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function isNoFile(error: unknown): boolean {
  return NO_FILE.includes(errorCode(error));
}
