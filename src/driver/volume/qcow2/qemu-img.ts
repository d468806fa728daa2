import { defined } from "../../../util/defined.ts";
import { N0Error } from "../../../util/errors.ts";
import { lastLine } from "../../command/one-line.ts";
import { runBoundCommand } from "../../command/run-bound-command.ts";
import { CommandError } from "../../command/run-command.ts";
import { OWN_CLUSTER_BYTES, OWN_QCOW2_OPTIONS } from "../image/own-qcow2.ts";
import { diskFull, readOnly, refused } from "../volume-errors.ts";

export interface QemuImgTimeouts {
  /** For commands that only write tables. */
  readonly resizeMs: number;
  /** For commands that read all tables of an image. */
  readonly inspectMs: number;
  /** For commands that copy all data. */
  readonly convertMs: number;
}

export const QEMU_IMG_TIMEOUTS: QemuImgTimeouts = {
  resizeMs: 60_000,
  inspectMs: 10 * 60_000,
  convertMs: 6 * 60 * 60_000,
};

/** A part of what the guest sees, from one byte to before another. */
export interface Part {
  readonly fromBytes: bigint;
  readonly toBytes: bigint;
}

/**
 * Runs qemu-img on files that this project has made itself; for files of strangers see `ForeignImages`. Always
 * names the format, so that qemu-img never probes it. When a call settles, its process has ended.
 */
export interface QemuImg {
  resize(path: string, sizeBytes: bigint, signal: AbortSignal): Promise<void>;
  /** Data beyond `sizeBytes` is lost. */
  shrink(path: string, sizeBytes: bigint, signal: AbortSignal): Promise<void>;
  /** Whether the file holds data of its own in that part. A domain may have it open. */
  hasData(path: string, part: Part, signal: AbortSignal): Promise<boolean>;
  /** Makes a flattened copy, in the form of our own writer. Calls `onFraction` with numbers from 0 to 1. */
  copy(
    from: string,
    to: string,
    signal: AbortSignal,
    onFraction?: (fraction: number) => void,
  ): Promise<void>;
}

/** Far more than it needs for the largest file of ours. */
const MEMORY_BYTES = 2 * 1024 ** 3;

/** A line of `qemu-img map`. Depth 0 is the file itself; higher depths are the files that it rests on. */
const OWN_DATA = /"depth": 0,.*"data": true/;
const NO_ZEROS = "Pattern verification failed";

export function newQemuImg(timeouts: QemuImgTimeouts): QemuImg {
  const write = async (
    args: readonly string[],
    timeoutMs: number,
    signal: AbortSignal,
    onStdout?: (text: string) => void,
  ): Promise<void> => {
    try {
      const listen = defined({ onStdout });
      await runBoundCommand(...limited("qemu-img", args), { timeoutMs, signal, ...listen });
    } catch (cause) {
      throw writeError(cause);
    }
  };

  return {
    async resize(path, sizeBytes, signal) {
      await write(["resize", "-q", "-f", "qcow2", path, `${sizeBytes}`], timeouts.resizeMs, signal);
    },
    async shrink(path, sizeBytes, signal) {
      const args = ["resize", "-q", "--shrink", "-f", "qcow2", path, `${sizeBytes}`];
      await write(args, timeouts.resizeMs, signal);
    },
    async hasData(path, { fromBytes, toBytes }, signal) {
      // The part may share a cluster with the bytes before it. Only the bytes tell whether the part has data
      // there.
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
    async copy(from, to, signal, onFraction) {
      const report = onFraction === undefined ? undefined : fractionReader(onFraction);
      const options = ["-O", "qcow2", "-o", OWN_QCOW2_OPTIONS];
      const args = ["convert", "-p", "-f", "qcow2", ...options, from, to];
      await write(args, timeouts.convertMs, signal, report);
    },
  };
}

function limited(file: string, args: readonly string[]): readonly [string, string[]] {
  return ["prlimit", [`--as=${MEMORY_BYTES}`, "--", file, ...args]];
}

/** Whether all bytes of that part, at most a cluster, are 0. */
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
    const args = ["-r", "-U", "-f", "qcow2", "-c", read, path];
    await runBoundCommand(...limited("qemu-io", args), options);
  } catch (cause) {
    if (!found.isFound()) throw writeError(cause);
  }
  return !found.isFound();
}

/** Looks for a line in the output, however long that is. */
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
export function fractionReader(onFraction: (fraction: number) => void): (text: string) => void {
  return (text) => {
    const percent = [...text.matchAll(/\((\d+(?:\.\d+)?)\/100%\)/g)].at(-1)?.[1];
    if (percent !== undefined) onFraction(Math.min(1, Number(percent) / 100));
  };
}

function writeError(cause: unknown): unknown {
  if (!(cause instanceof CommandError)) return cause;
  if (cause.killed) return new N0Error("deadline_exceeded", "qemu-img took too long", { cause });
  const ofDisk = diskError(cause);
  if (ofDisk !== undefined) return ofDisk;
  if (/Failed to get .*lock/.test(cause.stderr)) {
    return refused("the volume is in use by a running virtual machine; shut it down first", cause);
  }
  const said = saidBy(cause);
  if (cause.exitCode === undefined || said === "") {
    return new N0Error("internal", "qemu-img failed on the node", { cause });
  }
  return refused(`qemu-img cannot do it: ${said}`, cause);
}

/** The error, if the node's disk is the reason. */
export function diskError(cause: CommandError): N0Error | undefined {
  if (/No space left on device|Disk quota exceeded/.test(cause.stderr)) return diskFull(cause);
  return /Read-only file system/.test(cause.stderr) ? readOnly(cause) : undefined;
}

/** The last line of its output. */
export function saidBy({ stderr }: CommandError): string {
  return lastLine(stderr).replace(/^qemu-img: /, "");
}
