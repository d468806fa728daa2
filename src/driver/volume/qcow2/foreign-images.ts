import { type FileHandle, open } from "node:fs/promises";
import { z } from "zod";
import { N0Error } from "../../../util/errors.ts";
import { newSlots } from "../../../util/slots.ts";
import { OutputTooLongError, runBoundCommand } from "../../command/run-bound-command.ts";
import { CommandError } from "../../command/run-command.ts";
import { isSandboxFault, sandboxed, sandboxUid } from "../../command/sandbox.ts";
import { sparseQcow2 } from "../image/blank-qcow2.ts";
import type { ImageFormat } from "../image/image-format.ts";
import { isOwnQcow2 } from "../image/own-qcow2.ts";
import { ImageFormatError, parseQcow2Header } from "../image/qcow2-header.ts";
import { readHead, writeSparse } from "./files.ts";
import { diskError, fractionReader, type QemuImgTimeouts, saidBy } from "./qemu-img.ts";
import { OWN_HEAD_BYTES } from "./volume-files.ts";

export interface ForeignImagesOptions {
  readonly timeouts: QemuImgTimeouts;
  /** The number of images at the same time. Others wait. */
  readonly atOnceMax: number;
}

/** Runs qemu-img on files of strangers: each in a sandbox, and only a few at the same time. */
export interface ForeignImages {
  /**
   * Waits for a free place, and calls `work` with the image. The file at `path` must belong to this process.
   */
  use<T>(
    path: string,
    format: ImageFormat,
    signal: AbortSignal,
    work: (image: ForeignImage) => Promise<T>,
  ): Promise<T>;
}

/** Each method throws an ImageFormatError with the reason if qemu-img cannot read the image. */
export interface ForeignImage {
  /** The image as qemu-img describes it. */
  virtualSizeBytes(): Promise<bigint>;
  /** Refuses tables that contradict each other or the length of the file. */
  check(fileBytes: bigint): Promise<void>;
  /** Writes its content into a new file of `sizeBytes`. Calls `onFraction` with numbers from 0 to 1. */
  convert(to: string, sizeBytes: bigint, onFraction: (fraction: number) => void): Promise<void>;
}

/** An image may make qemu-img allocate any amount of memory, and compute for any time. */
const MEMORY_BYTES = 2 * 1024 ** 3;
const CHECK_EXIT_LEAKS = 3;
const CHECK_EXIT_NOT_SUPPORTED = 63;
/** A qcow2 file may end inside of its last cluster, whose size is at most this. */
const LAST_CLUSTER_BYTES_MAX = 2n * 1024n * 1024n;
/** A file of ours takes far less than this beside its data. */
const TABLE_BYTES_MAX = 256n * 1024n * 1024n;
const READABLE_BY_GROUP = 0o640;
const WRITABLE_BY_GROUP = 0o660;
const OWN_MODE = 0o600;
const IMAGE = "/proc/self/fd/3";
const RESULT = "/proc/self/fd/4";

const infoSchema = z.object({
  "virtual-size": z.number().nonnegative(),
  "backing-filename": z.string().optional(),
  "format-specific": z
    .object({
      data: z.object({
        "data-file": z.string().optional(),
        extents: z.array(z.unknown()).optional(),
      }),
    })
    .optional(),
});

const checkSchema = z.object({ "image-end-offset": z.number().optional() });

export function newForeignImages({ timeouts, atOnceMax }: ForeignImagesOptions): ForeignImages {
  const slots = newSlots(atOnceMax);
  return {
    async use(path, format, signal, work) {
      using slot = await slots.take(signal);
      const uid = sandboxUid(slot.index);
      await using file = await open(path, "r");
      return await sharedWith(uid, file, READABLE_BY_GROUP, () =>
        work(newForeignImage({ file, format, uid, timeouts, signal })),
      );
    },
  };
}

/** The user of the sandbox has a group of the same number, which gives it the file while `work` runs. */
async function sharedWith<T>(
  uid: number | undefined,
  file: FileHandle,
  mode: number,
  work: () => Promise<T>,
): Promise<T> {
  if (uid === undefined) return await work();
  const before = await file.stat();
  await file.chown(before.uid, uid);
  await file.chmod(mode);
  try {
    return await work();
  } finally {
    await file.chmod(OWN_MODE);
    await file.chown(before.uid, before.gid);
  }
}

interface Opened {
  readonly file: FileHandle;
  readonly format: ImageFormat;
  readonly uid: number | undefined;
  readonly timeouts: QemuImgTimeouts;
  readonly signal: AbortSignal;
}

function newForeignImage({ file, format, uid, timeouts, signal }: Opened): ForeignImage {
  interface Run {
    readonly timeoutMs: number;
    readonly fileBytes?: bigint;
    readonly result?: FileHandle;
    readonly onStdout?: (text: string) => void;
  }
  const run = (args: readonly string[], { fileBytes = 0n, result, ...run }: Run) => {
    const cpuSeconds = Math.ceil(run.timeoutMs / 1000);
    const limits = { memoryBytes: MEMORY_BYTES, cpuSeconds, fileBytes };
    const [command, ...rest] = sandboxed(uid, limits, ["qemu-img", ...args]);
    const files = [file.fd, ...(result === undefined ? [] : [result.fd])];
    return runBoundCommand(command, rest, { ...run, files, signal });
  };

  return {
    async virtualSizeBytes() {
      const args = ["info", "--output=json", "-U", "-f", format, IMAGE];
      const what = `is not a complete ${format}`;
      const printed = await understood(what, () => run(args, { timeoutMs: timeouts.inspectMs }));
      const info = parsed(infoSchema, printed, what);
      const specific = info["format-specific"]?.data;
      if (info["backing-filename"] !== undefined || specific?.["data-file"] !== undefined) {
        throw new ImageFormatError("has a backing file or an external data file");
      }
      if ((specific?.extents?.length ?? 1) !== 1)
        throw new ImageFormatError("has more than one file");
      return BigInt(info["virtual-size"]);
    },

    async check(fileBytes) {
      const args = ["check", "--output=json", "-U", "-f", format, IMAGE];
      const what = `is a truncated or damaged ${format}`;
      const printed = await understood(what, () =>
        run(args, { timeoutMs: timeouts.inspectMs }).catch((cause: unknown) => {
          if (isGoodEnough(cause)) return "{}";
          throw cause;
        }),
      );
      const { "image-end-offset": end } = parsed(checkSchema, printed, what);
      if (end !== undefined && BigInt(end) > fileBytes + LAST_CLUSTER_BYTES_MAX) {
        throw new ImageFormatError(`is a truncated ${format}`);
      }
    },

    async convert(to, sizeBytes, onFraction) {
      // We make the file, so nothing of its layout comes from the image.
      await writeSparse(to, sparseQcow2(sizeBytes));
      await using result = await open(to, "r+");
      const into = ["-n", "--target-is-zero", "-O", "qcow2"];
      const args = ["convert", "-p", "-f", format, ...into, IMAGE, RESULT];
      await understood(`is a damaged ${format}`, () =>
        sharedWith(uid, result, WRITABLE_BY_GROUP, () =>
          run(args, {
            timeoutMs: timeouts.convertMs,
            fileBytes: sizeBytes + sizeBytes / 64n + TABLE_BYTES_MAX,
            result,
            onStdout: fractionReader(onFraction),
          }),
        ),
      );
      checkResult(await readHead(to, OWN_HEAD_BYTES), sizeBytes);
    },
  };
}

/** A process that the image may have deceived has written it, so check it. */
function checkResult(head: Uint8Array, sizeBytes: bigint): void {
  const header = parseQcow2Header(head);
  if (isOwnQcow2(header) && header.virtualSizeBytes === sizeBytes) return;
  throw new ImageFormatError("made qemu-img write something other than a disk of that size");
}

/** Whether the image has no errors except unused clusters, or has a format that qemu-img cannot check. */
function isGoodEnough(cause: unknown): boolean {
  if (!(cause instanceof CommandError)) return false;
  return cause.exitCode === CHECK_EXIT_LEAKS || cause.exitCode === CHECK_EXIT_NOT_SUPPORTED;
}

async function understood<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw inWords(what, cause);
  }
}

/** A failure while an image is read lies in the image, unless it is known to lie in the node. */
function inWords(what: string, cause: unknown): unknown {
  if (cause instanceof OutputTooLongError) {
    const advice = "convert it with qemu-img convert -O qcow2 and give the result";
    return new ImageFormatError(`has a description that is too long; ${advice}`, { cause });
  }
  if (!(cause instanceof CommandError)) return cause;
  const { exitCode, signalName } = cause;
  if (isSandboxFault(cause.stderr) || (exitCode === undefined && signalName === undefined)) {
    return new N0Error("internal", "the node cannot run qemu-img in its sandbox", { cause });
  }
  const ofDisk = diskError(cause);
  if (ofDisk !== undefined) return ofDisk;
  if (cause.killed) return new ImageFormatError("takes too long to read", { cause });
  if (exitCode === undefined) {
    const why = "it asks for more memory, processor time or disk than an image may have";
    return new ImageFormatError(`${what}, or ${why} (${signalName})`, { cause });
  }
  return new ImageFormatError(`${what}: qemu-img says: ${saidBy(cause)}`, { cause });
}

function parsed<T>(schema: z.ZodType<T>, printed: string, what: string): T {
  try {
    return schema.parse(JSON.parse(printed));
  } catch (cause) {
    throw new ImageFormatError(`${what}: qemu-img does not describe it as an image`, { cause });
  }
}
