import { randomFillSync } from "node:crypto";
import { closeSync, fstatSync, ftruncateSync, openSync, statfsSync, writeSync } from "node:fs";
import { dirname } from "node:path";

export interface Reserve extends Disposable {
  /** A part of it has been given back to the disk. */
  readonly isSpent: boolean;
  /** Gives a part back, for one who writes it full at once. @returns false where nothing is left. */
  give(): boolean;
  /** Makes it whole again where the disk has room for that and as much again. */
  refill(): void;
}

export interface ReserveOptions {
  /** The file; made if it is not there. */
  readonly path: string;
  readonly bytes: number;
  /** Default: asks the kernel. */
  readonly readFreeBytes?: (folder: string) => number;
}

const MIB = 1024 ** 2;

/**
 * Room on a disk that is kept for whoever has to write when it is full: a file that holds it. It is given
 * back a MiB at a time. Who filled the disk may go on to do so, and would take all of it at once.
 */
export function openReserve({ path, bytes, readFreeBytes = freeBytesOf }: ReserveOptions): Reserve {
  const file = openSync(path, "a+", 0o600);
  // No file system stores this as nothing, as some do with zeros.
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
      // Somebody else was faster.
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
