import { statfs } from "node:fs/promises";
import type { Clock } from "../../util/clock.ts";
import { pause } from "../../util/clock.ts";
import { N0Error } from "../../util/errors.ts";

/** Keeps space free on the file system of a folder, for what must always be written, such as a database. */
export interface FreeSpace {
  /** @throws N0Error `resource_exhausted` if less than that would be free after `bytes` are written. */
  check(bytes?: bigint): Promise<void>;
  /**
   * Runs `work`. Its signal also aborts when so much was written that less than that is free.
   *
   * @throws N0Error `resource_exhausted`; any error of `work`.
   */
  during<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

export interface FileSystem {
  readonly sizeBytes: bigint;
  /** The space for processes without root, such as QEMU. */
  readonly freeBytes: bigint;
}

export interface FreeSpaceOptions {
  readonly folder: string;
  /** Default: 1 GiB, or a twentieth of a file system that is smaller than 20 GiB. */
  readonly freeBytesMin?: bigint | undefined;
  readonly clock: Clock;
  /** Default: reads it from the kernel. */
  readonly read?: (folder: string) => Promise<FileSystem>;
}

const GIB = 1024n ** 3n;
/** Even a fast disk takes a second to write the gigabyte that is kept free. */
const LOOK_EVERY_MS = 250;

export function newFreeSpace(options: FreeSpaceOptions): FreeSpace {
  const { folder, clock, read = readFileSystem } = options;

  async function check(bytes = 0n): Promise<void> {
    const { freeBytes, sizeBytes } = await read(folder);
    const twentieth = sizeBytes / 20n;
    const keptBytes = options.freeBytesMin ?? (twentieth < GIB ? twentieth : GIB);
    if (freeBytes - bytes < keptBytes) throw tooFull({ freeBytes, keptBytes, bytes });
  }

  async function watch(until: AbortSignal, low: AbortController): Promise<void> {
    while (!until.aborted && !low.signal.aborted) {
      if (await pause(clock, LOOK_EVERY_MS, until))
        await check().catch((reason: unknown) => low.abort(reason));
    }
  }

  return {
    check,
    async during(signal, work) {
      await check();
      const end = new AbortController();
      const low = new AbortController();
      const watching = watch(end.signal, low);
      try {
        return await work(AbortSignal.any([signal, low.signal]));
      } finally {
        end.abort();
        await watching;
      }
    },
  };
}

/** Keeps nothing free. */
export const noFreeSpaceKept: FreeSpace = {
  check: async () => {},
  during: async (signal, work) => await work(signal),
};

async function readFileSystem(folder: string): Promise<FileSystem> {
  const { blocks, bavail, bsize } = await statfs(folder, { bigint: true });
  return { sizeBytes: blocks * bsize, freeBytes: bavail * bsize };
}

interface Room {
  readonly freeBytes: bigint;
  readonly keptBytes: bigint;
  readonly bytes: bigint;
}

function tooFull({ freeBytes, keptBytes, bytes }: Room): N0Error {
  const what = bytes === 0n ? "" : ` for ${bytes} bytes more`;
  return new N0Error(
    "resource_exhausted",
    `the node's disk has no room${what}: ${freeBytes} bytes are free, of which ${keptBytes} are kept so ` +
      "(storage-free-min); free space there or use another node",
  );
}
