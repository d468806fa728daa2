import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";

const FOLDER_ITSELF = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const CLOSED = 0o700;

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Makes a folder of that user at `path`, in place of anything else. An existing folder of the user keeps its
 * content.
 */
export function ensureFolderOf({ uid, gid }: Owner, path: string, mode: number): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) {
    rmSync(path, { force: true });
    mkdirSync(path, { mode: CLOSED });
  }
  withFolder(path, (file) => {
    fchownSync(file, uid, gid);
    fchmodSync(file, mode);
  });
}

/**
 * Takes over a folder that somebody else may have had: sets its owner and `mode`, and removes everything in it
 * that `isKept` does not keep. The mode is set last, so that an interrupted call can be recognized by it.
 *
 * rmSync opens folder by folder and follows no link, whatever others change there in the meantime.
 */
export function takeFolder(path: string, mode: number, isKept: (path: string) => boolean): void {
  withFolder(path, (file) => {
    fchownSync(file, process.getuid?.() ?? 0, process.getgid?.() ?? 0);
    fchmodSync(file, CLOSED);
    // Opens this folder itself, whatever its path names later.
    const inside = `/proc/self/fd/${file}`;
    for (const name of readdirSync(inside)) {
      const entry = join(inside, name);
      if (!isKept(entry)) rmSync(entry, { recursive: true, force: true });
    }
    fchmodSync(file, mode);
  });
}

/** @throws Error if the path itself is not a folder. */
function withFolder(path: string, use: (file: number) => void): void {
  const file = openSync(path, FOLDER_ITSELF);
  try {
    use(file);
  } finally {
    closeSync(file);
  }
}
