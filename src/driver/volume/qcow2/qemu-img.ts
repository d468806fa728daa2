import { z } from "zod";
import { N0Error } from "../../../util/errors.ts";
import { lastLine } from "../../command/one-line.ts";
import { runBoundCommand } from "../../command/run-bound-command.ts";
import { CommandError } from "../../command/run-command.ts";
import type { ImageFormat } from "../image/image-format.ts";
import { OWN_CLUSTER_BYTES, OWN_QCOW2_OPTIONS } from "../image/own-qcow2.ts";
import { ImageFormatError } from "../image/qcow2-header.ts";
import { diskFull, readOnly, refused } from "../volume-errors.ts";

export interface QemuImgTimeouts {
  /** For what only writes tables. */
  readonly resizeMs: number;
  /** For reading all tables of an image. */
  readonly inspectMs: number;
  /** For copying all data. */
  readonly convertMs: number;
}

export const QEMU_IMG_TIMEOUTS: QemuImgTimeouts = {
  resizeMs: 60_000,
  inspectMs: 10 * 60_000,
  convertMs: 6 * 60 * 60_000,
};

/** Of what the guest sees, from one byte to before another. */
export interface Part {
  readonly fromBytes: bigint;
  readonly toBytes: bigint;
}

export interface ImageInfo {
  readonly virtualSizeBytes: bigint;
}

/**
 * What this project has qemu-img do. A format is always told, never probed. When a call settles, its
 * process has ended.
 */
export interface QemuImg {
  resize(path: string, sizeBytes: bigint, signal: AbortSignal): Promise<void>;
  /** What lies beyond `sizeBytes` is lost. */
  shrink(path: string, sizeBytes: bigint, signal: AbortSignal): Promise<void>;
  /** Whether the qcow2 file holds data of its own in that part; a domain may have it open. */
  hasData(path: string, part: Part, signal: AbortSignal): Promise<boolean>;
  /** To qcow2 as our own writer makes it, flattened. `onFraction` is given numbers from 0 to 1. */
  convert(
    from: { readonly path: string; readonly format: ImageFormat },
    to: string,
    signal: AbortSignal,
    onFraction?: (fraction: number) => void,
  ): Promise<void>;
  /** @throws ImageFormatError for what qemu-img cannot open, or takes for one that needs other files. */
  info(path: string, format: ImageFormat, signal: AbortSignal): Promise<ImageInfo>;
  /** @throws ImageFormatError for tables that contradict each other or the length of the file. */
  check(path: string, format: ImageFormat, fileBytes: bigint, signal: AbortSignal): Promise<void>;
}

/** An image from outside may make qemu-img allocate as much as it likes. */
const INSPECT_MEMORY_BYTES = 2 * 1024 ** 3;
const CHECK_EXIT_LEAKS = 3;
const CHECK_EXIT_NOT_SUPPORTED = 63;
/** A qcow2 file may end inside its last cluster, whose size is at most this. */
const LAST_CLUSTER_BYTES_MAX = 2n * 1024n * 1024n;

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

/** A line of `qemu-img map`; depth 0 is the file itself, above it is what it rests on. */
const OWN_DATA = /"depth": 0,.*"data": true/;
const NO_ZEROS = "Pattern verification failed";

const checkSchema = z.object({ "image-end-offset": z.number().optional() });

export function newQemuImg(timeouts: QemuImgTimeouts): QemuImg {
  const write = async (
    args: readonly string[],
    timeoutMs: number,
    signal: AbortSignal,
    onStdout?: (text: string) => void,
  ): Promise<void> => {
    try {
      const listen = onStdout === undefined ? {} : { onStdout };
      await runBoundCommand("qemu-img", args, { timeoutMs, signal, ...listen });
    } catch (cause) {
      throw writeError(cause);
    }
  };
  const inspect = (args: readonly string[], signal: AbortSignal): Promise<string> =>
    runBoundCommand("prlimit", [`--as=${INSPECT_MEMORY_BYTES}`, "--", "qemu-img", ...args], {
      timeoutMs: timeouts.inspectMs,
      signal,
    });

  return {
    async resize(path, sizeBytes, signal) {
      await write(["resize", "-q", "-f", "qcow2", path, `${sizeBytes}`], timeouts.resizeMs, signal);
    },
    async shrink(path, sizeBytes, signal) {
      const args = ["resize", "-q", "--shrink", "-f", "qcow2", path, `${sizeBytes}`];
      await write(args, timeouts.resizeMs, signal);
    },
    async hasData(path, { fromBytes, toBytes }, signal) {
      // A cluster that the part shares with what lies before it is told by its bytes alone.
      const mapped = ((fromBytes + OWN_CLUSTER_BYTES - 1n) / OWN_CLUSTER_BYTES) * OWN_CLUSTER_BYTES;
      const sharedTo = mapped < toBytes ? mapped : toBytes;
      if (fromBytes < sharedTo) {
        const shared = { fromBytes, toBytes: sharedTo };
        if (!(await isZero(path, shared, timeouts.resizeMs, signal))) return true;
      }
      if (mapped >= toBytes) return false;
      const found = lineFinder(OWN_DATA);
      const args = ["map", "--output=json", "-U", `--start-offset=${mapped}`, "-f", "qcow2", path];
      await write(args, timeouts.inspectMs, signal, found.listen);
      return found.isFound();
    },
    async convert({ path, format }, to, signal, onFraction) {
      const report = onFraction === undefined ? undefined : fractionReader(onFraction);
      const options = ["-O", "qcow2", "-o", OWN_QCOW2_OPTIONS];
      const args = ["convert", "-p", "-f", format, ...options, path, to];
      await write(args, timeouts.convertMs, signal, report);
    },
    async info(path, format, signal) {
      let printed: string;
      try {
        printed = await inspect(["info", "--output=json", "-U", "-f", format, path], signal);
      } catch (cause) {
        throw inspectError(cause, `is no whole ${format}`);
      }
      const info = infoSchema.parse(JSON.parse(printed));
      const specific = info["format-specific"]?.data;
      if (info["backing-filename"] !== undefined || specific?.["data-file"] !== undefined) {
        throw new ImageFormatError("has a backing file or an external data file");
      }
      if ((specific?.extents?.length ?? 1) !== 1)
        throw new ImageFormatError("has more than one file");
      return { virtualSizeBytes: BigInt(info["virtual-size"]) };
    },
    async check(path, format, fileBytes, signal) {
      let printed: string;
      try {
        printed = await inspect(["check", "--output=json", "-U", "-f", format, path], signal);
      } catch (cause) {
        const exitCode = cause instanceof CommandError ? cause.exitCode : undefined;
        if (exitCode === CHECK_EXIT_LEAKS || exitCode === CHECK_EXIT_NOT_SUPPORTED) return;
        throw inspectError(cause, `is a truncated or damaged ${format}`);
      }
      const { "image-end-offset": end } = checkSchema.parse(JSON.parse(printed));
      if (end !== undefined && BigInt(end) > fileBytes + LAST_CLUSTER_BYTES_MAX) {
        throw new ImageFormatError(`is a truncated ${format}`);
      }
    },
  };
}

/** Whether the bytes of that part, at most a cluster, are all 0. */
async function isZero(
  path: string,
  { fromBytes, toBytes }: Part,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const found = lineFinder(new RegExp(NO_ZEROS));
  const read = `read -q -P 0 ${fromBytes} ${toBytes - fromBytes}`;
  const options = { timeoutMs, signal, onStdout: found.listen };
  try {
    await runBoundCommand("qemu-io", ["-r", "-U", "-f", "qcow2", "-c", read, path], options);
  } catch (cause) {
    if (!found.isFound()) throw writeError(cause);
  }
  return !found.isFound();
}

/** Looks for a line in what is printed, however much that is. */
function lineFinder(pattern: RegExp) {
  let isFound = false;
  let rest = "";
  return {
    listen: (text: string) => {
      const lines = `${rest}${text}`.split("\n");
      rest = lines.pop() ?? "";
      isFound ||= lines.some((line) => pattern.test(line));
    },
    isFound: () => isFound || pattern.test(rest),
  };
}

/** `qemu-img convert -p` prints `(12.34/100%)` again and again on one line. */
function fractionReader(onFraction: (fraction: number) => void): (text: string) => void {
  return (text) => {
    const percent = [...text.matchAll(/\((\d+(?:\.\d+)?)\/100%\)/g)].at(-1)?.[1];
    if (percent !== undefined) onFraction(Math.min(1, Number(percent) / 100));
  };
}

function writeError(cause: unknown): unknown {
  if (!(cause instanceof CommandError)) return cause;
  if (cause.killed) return new N0Error("deadline_exceeded", "qemu-img took too long", { cause });
  if (/No space left on device|Disk quota exceeded/.test(cause.stderr)) return diskFull(cause);
  if (/Read-only file system/.test(cause.stderr)) return readOnly(cause);
  if (/Failed to get .*lock/.test(cause.stderr)) {
    return refused("the volume is in use by a running virtual machine; shut it down first", cause);
  }
  const said = lastLine(cause.stderr).replace(/^qemu-img: /, "");
  if (cause.exitCode === undefined || said === "") {
    return new N0Error("internal", "qemu-img failed on the node", { cause });
  }
  return refused(`qemu-img cannot do it: ${said}`, cause);
}

function inspectError(cause: unknown, what: string): unknown {
  if (!(cause instanceof CommandError)) return cause;
  if (cause.killed) return new ImageFormatError("takes too long to inspect", { cause });
  return new ImageFormatError(what, { cause });
}
