import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { inOneLine } from "../../command/one-line.ts";

/** What a program said last, in one line, for a message that a client reads. */
export interface LastWords {
  readonly by: "QEMU" | "libvirt";
  readonly text: string;
}

/** virtlogd keeps up to 2 MiB of a domain; what was said last is at the end. */
const LOG_TAIL_BYTES = 64 * 1024;
/** `qemu-system-x86_64: ` and, where the fault is in one, the option with its value. */
const QEMU_LINE = /^(?:.*\s)?qemu-system-\w+: (?:-[\w-]+ (?:\{.*?\}|\S+): )?(.*)$/s;
/** It goes on after one, so it ends for no such thing; TCG has one for each feature of a processor. */
const WARNING = /[:\s]{0,3}\S{0,40}\s?qemu-system-\w+: [^\n]*?\bwarning: [^\n]*/g;
/** What libvirt puts before QEMU's own words, and what names no fault. */
const LIBVIRT_HEAD = /^(?:internal error|operation failed): /;
/** Nothing but that QEMU has gone. */
const NO_WORDS =
  /^(?:qemu unexpectedly closed the monitor|process exited while connecting to monitor)[^:]*$/i;

/** What was said but QEMU's warnings, of which libvirt quotes as many as there are. */
export function withoutWarnings(message: string): string {
  return message.replaceAll(WARNING, "");
}

/**
 * The last words in an error of libvirt, which quotes QEMU's where it knows them. Of a path they keep the
 * last part: where the files lie on a node is nobody's business. Undefined where nothing is said but that
 * QEMU ended.
 */
export function lastWords(message: string): LastWords | undefined {
  const [, ofQemu] = QEMU_LINE.exec(message) ?? [];
  const text = ofQemu ?? message.replace(LIBVIRT_HEAD, "");
  if (ofQemu === undefined && NO_WORDS.test(text)) return undefined;
  return { by: ofQemu === undefined ? "libvirt" : "QEMU", text: inOneLine(text) };
}

/** The last line that QEMU itself has written since it was last started, as it is in libvirt's log. */
export function lastLineOfQemu(log: string): string | undefined {
  const run = log.slice(Math.max(0, log.lastIndexOf(": starting up libvirt version")));
  return withoutWarnings(run)
    .split("\n")
    .findLast((line) => QEMU_LINE.test(line));
}

/** The same of a log file; undefined where there is none that may be read. */
export function readLastLineOfQemu(path: string): string | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, "r");
    const { size } = fstatSync(file);
    const bytes = Buffer.alloc(Math.min(size, LOG_TAIL_BYTES));
    readSync(file, bytes, 0, bytes.length, size - bytes.length);
    return lastLineOfQemu(bytes.toString("utf8"));
  } catch {
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** How many processes the kernel has ended for want of memory since it began: `oom_kill` in proc_vmstat(5). */
export function countOomKills(vmstat = readVmstat()): number {
  return Number(/^oom_kill (\d+)$/m.exec(vmstat)?.[1] ?? 0);
}

function readVmstat(): string {
  try {
    return readFileSync("/proc/vmstat", "utf8");
  } catch {
    return "";
  }
}
