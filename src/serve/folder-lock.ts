import {
  closeSync,
  fchmodSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import koffi from "koffi";
import { N0Error } from "../util/errors.ts";

/** <sys/file.h> */
const LOCK_EX = 2;
const LOCK_NB = 4;

/**
 * Makes sure that only one process uses `folder` for `part`. The kernel holds the lock (flock), so it ends
 * with the process, however that ends.
 *
 * @throws N0Error `failed_precondition` that names the process with the lock.
 */
export function lockFolder(folder: string, part: "api" | "agent"): Disposable {
  const path = join(folder, `${part}.lock`);
  const file = openLockFile(folder, path);
  const flock = koffi.load("libc.so.6").func("int flock(int fd, int operation)");
  if (flock(file, LOCK_EX | LOCK_NB) !== 0) {
    const holder = readFileSync(path, "utf8").trim();
    closeSync(file);
    throw new N0Error(
      "failed_precondition",
      `another n0core ${part} (process ${holder}) uses ${folder}: stop it, or give another --base-directory`,
    );
  }
  ftruncateSync(file);
  writeSync(file, `${process.pid}\n`, 0);
  return { [Symbol.dispose]: () => closeSync(file) };
}

function openLockFile(folder: string, path: string): number {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    const file = openSync(path, "a+", 0o600);
    // A file of an older version may be readable for others.
    fchmodSync(file, 0o600);
    return file;
  } catch (cause) {
    throw new N0Error("failed_precondition", `base directory ${folder} cannot be written to`, {
      cause,
    });
  }
}
