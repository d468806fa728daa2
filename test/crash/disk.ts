import { execFileSync } from "node:child_process";
import { mkdirSync, statfsSync } from "node:fs";

const SIZE = "1g";

/** A small file system of its own, which can be made full or read-only while it is in use. */
export interface Disk extends Disposable {
  /** Leaves room for `freeBytes` and no more. */
  fill(freeBytes: number): void;
  /** Room as before. */
  empty(): void;
}

export function mountDisk(folder: string): Disk {
  mkdirSync(folder, { recursive: true });
  mount("-t", "tmpfs", "-o", `size=${SIZE},mode=0755`, "tmpfs", folder);
  return {
    fill(freeBytes) {
      const { blocks, bfree, bsize } = statfsSync(folder);
      mount("-o", `remount,size=${(blocks - bfree) * bsize + freeBytes}`, folder);
    },
    empty: () => mount("-o", `remount,size=${SIZE}`, folder),
    [Symbol.dispose]: () => execFileSync("umount", ["--lazy", folder]),
  };
}

/** Makes a folder read-only until it is disposed of, whoever has files open there. */
export function readOnly(folder: string): Disposable {
  mount("--bind", folder, folder);
  mount("-o", "remount,bind,ro", folder);
  return { [Symbol.dispose]: () => execFileSync("umount", ["--lazy", folder]) };
}

function mount(...args: string[]): void {
  execFileSync("mount", args);
}
