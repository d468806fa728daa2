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

/** Makes a folder that is that user's at `path`, in place of anything else; one that is there keeps its content. */
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
 * Makes a folder that somebody else may have had ours alone: its owner and `mode`, and everything in it gone
 * that is not kept. The mode comes last, so that one whose taking was cut short is known by it.
 *
 * rmSync opens folder by folder and follows no link, whatever others change in it meanwhile.
 */
export function takeFolder(path: string, mode: number, isKept: (path: string) => boolean): void {
  withFolder(path, (file) => {
    fchownSync(file, process.getuid?.() ?? 0, process.getgid?.() ?? 0);
    fchmodSync(file, CLOSED);
    // This very folder, whatever stands at its path.
    const inside = `/proc/self/fd/${file}`;
    for (const name of readdirSync(inside)) {
      const entry = join(inside, name);
      if (!isKept(entry)) rmSync(entry, { recursive: true, force: true });
    }
    fchmodSync(file, mode);
  });
}

/** @throws Error where it is no folder itself. */
function withFolder(path: string, use: (file: number) => void): void {
  const file = openSync(path, FOLDER_ITSELF);
  try {
    use(file);
  } finally {
    closeSync(file);
  }
}
