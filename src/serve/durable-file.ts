import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/** Writes a new file that only its owner can read. It is on the disk when this returns. */
export function writeDurably(path: string, text: string): void {
  const file = openSync(path, "wx", 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Replaces a file, or makes it, as a whole: a reader sees the old text or the new one, also after a death. */
export function replaceDurably(path: string, text: string): void {
  const fresh = `${path}.new`;
  // The remains of an earlier try that died.
  rmSync(fresh, { force: true });
  writeDurably(fresh, text);
  renameSync(fresh, path);
  flushFolder(dirname(path));
}

/** Makes the names of a folder durable. */
export function flushFolder(folder: string): void {
  const file = openSync(folder, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
