import { execFileSync } from "node:child_process";
import { mkdirSync, statfsSync } from "node:fs";

const SIZE = "1g";
const FILL_TRIES = 20;

/** A small file system of its own, which can be made full or read-only while it is in use. */
export interface Disk extends Disposable {
  /** Leaves `freeBytes` of space and no more. */
  fill(freeBytes: number): void;
  /** Restores the space. */
  empty(): void;
}

export function mountDisk(folder: string): Disk {
  mkdirSync(folder, { recursive: true });
  mount("-t", "tmpfs", "-o", `size=${SIZE},mode=0755`, "tmpfs", folder);
  return {
    fill(freeBytes) {
      for (let tries = 1; ; tries++) {
        const { blocks, bfree, bsize } = statfsSync(folder);
        try {
          return mount("-o", `remount,size=${(blocks - bfree) * bsize + freeBytes}`, folder);
        } catch (error) {
          // Something wrote in the meantime, and the size is below the used space.
          if (tries === FILL_TRIES) throw error;
        }
      }
    },
    empty: () => mount("-o", `remount,size=${SIZE}`, folder),
    [Symbol.dispose]: () => execFileSync("umount", ["--lazy", folder]),
  };
}

/** Makes a folder read-only until it is disposed of, even if processes have files open there. */
export function readOnly(folder: string): Disposable {
  mount("--bind", folder, folder);
  const bound = { [Symbol.dispose]: () => execFileSync("umount", ["--lazy", folder]) };
  try {
    mount("-o", "remount,bind,ro", folder);
    return bound;
  } catch (error) {
    bound[Symbol.dispose]();
    throw error;
  }
}

function mount(...args: string[]): void {
  execFileSync("mount", args);
}
