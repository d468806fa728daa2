import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  openQcow2VolumeDriver,
  type Qcow2VolumeDriverOptions,
} from "../../src/driver/volume/qcow2/qcow2-volume-driver.ts";
import type { VolumeDriver } from "../../src/driver/volume/volume-driver.ts";
import { LOCAL_SOURCES } from "../../src/driver/volume/web/source-addresses.ts";

export const MIB = 1024n ** 2n;
export const TIB = 1024n ** 4n;
export const mark = { owner: "block_storage/mine", transactionId: "transaction-1" };
export const signal = () => AbortSignal.timeout(60_000);

export interface VolumeWorld extends AsyncDisposable {
  readonly driver: VolumeDriver;
  /** The directory of the volumes. */
  readonly directory: string;
  /** The directory for `file:` URLs. */
  readonly allowed: string;
  /** The directory for files of the test itself. */
  readonly scratch: string;
  /** Every name in `directory`. */
  readonly names: () => Promise<string[]>;
}

export async function newVolumeWorld(
  options: Partial<Qcow2VolumeDriverOptions> = {},
): Promise<VolumeWorld> {
  const root = await mkdtemp(join(tmpdir(), "n0-volume-"));
  const [directory, allowed, scratch] = ["volumes", "allowed", "scratch"].map((x) => join(root, x));
  for (const folder of [directory!, allowed!, scratch!]) await mkdir(folder);
  const driver = await openQcow2VolumeDriver({
    directory: directory!,
    allowedFileFolders: [allowed!],
    allowedSources: LOCAL_SOURCES,
    responseTimeoutMs: 5000,
    idleTimeoutMs: 5000,
    ...options,
  });
  return {
    driver,
    directory: directory!,
    allowed: allowed!,
    scratch: scratch!,
    names: () => readdir(options.directory ?? directory!),
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
}

export async function run(file: string, ...args: string[]): Promise<string> {
  return (await promisify(execFile)(file, args)).stdout;
}

/** Data that looks like no format, and that no conversion omits. */
export function noise(bytes: number): Buffer {
  const block = randomBytes(65_536);
  block[0] = 0;
  return Buffer.alloc(bytes, block);
}

export async function writeNoise(path: string, bytes: number): Promise<string> {
  await writeFile(path, noise(bytes));
  return path;
}

/** Whether a process runs with `text` in its command line. */
export async function isRunning(file: string, text: string): Promise<boolean> {
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    // A process may end between the two.
    const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (line.split("\0")[0] === file && line.includes(text)) return true;
  }
  return false;
}
