import { randomFillSync } from "node:crypto";
import { closeSync, fstatSync, ftruncateSync, openSync, statfsSync, writeSync } from "node:fs";
import { dirname } from "node:path";

export interface Reserve extends Disposable {
  /** True if a part of it was given back to the file system. */
  readonly isSpent: boolean;
  /** Gives a part back, for a caller that uses it at once. @returns false if nothing is left. */
  give(): boolean;
  /** Fills it again if the file system has twice that room. */
  refill(): void;
}

export interface ReserveOptions {
  /** The file. It is made if it does not exist. */
  readonly path: string;
  readonly bytes: number;
  /** Default: asks the kernel. */
  readonly readFreeBytes?: (folder: string) => number;
}

const MIB = 1024 ** 2;

/**
 * A file that reserves room for writes to a full file system. It gives room back one MiB at a time, because the
 * program that filled the file system may continue, and would take all of it at once.
 */
export function openReserve({ path, bytes, readFreeBytes = freeBytesOf }: ReserveOptions): Reserve {
  const file = openSync(path, "a+", 0o600);
  // Random bytes, because some file systems store zeros as nothing.
  const block = randomFillSync(Buffer.allocUnsafe(MIB));
  let heldBytes = fstatSync(file).size;

  function shrinkTo(size: number): void {
    ftruncateSync(file, size);
    heldBytes = size;
  }

  function refill(): void {
    const missingBytes = bytes - heldBytes;
    if (missingBytes <= 0 || readFreeBytes(dirname(path)) < missingBytes + bytes) return;
    const before = heldBytes;
    try {
      while (heldBytes < bytes)
        heldBytes += writeSync(file, block, 0, Math.min(MIB, bytes - heldBytes));
    } catch {
      // Another program was faster.
      shrinkTo(before);
    }
  }

  if (heldBytes > bytes) shrinkTo(bytes);
  refill();
  return {
    get isSpent() {
      return heldBytes < bytes;
    },
    give() {
      if (heldBytes === 0) return false;
      shrinkTo(Math.max(0, heldBytes - MIB));
      return true;
    },
    refill,
    [Symbol.dispose]: () => closeSync(file),
  };
}

function freeBytesOf(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}
