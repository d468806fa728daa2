import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { inOneLine } from "../../command/one-line.ts";

/** What a program said last, in one line, for a message that a client reads. */
export interface LastWords {
  readonly by: "QEMU" | "libvirt";
  readonly text: string;
}

/** virtlogd keeps up to 2 MiB of a domain; what was said last is at the end. */
const LOG_TAIL_BYTES = 64 * 1024;
/** How each line of QEMU's own begins, behind a time. */
const QEMU_HEAD = /qemu-system-\w+: /;
/** The option that a fault is in, with its value. */
const OPTION = /^-[\w-]+ (?:\{.*?\}|\S+): /s;
/** What stands before a warning, such as its time, and goes with it. */
const BEFORE_WARNING = /[:\s]{0,3}\S{0,40}\s?$/;
const BEFORE_WARNING_LENGTH_MAX = 44;
const QEMU_HEAD_LENGTH_MAX = 40;
/** What libvirt puts before QEMU's own words, and what names no fault. */
const LIBVIRT_HEAD = /^(?:internal error|operation failed): /;
/** Nothing but that QEMU has gone. */
const NO_WORDS =
  /^(?:qemu unexpectedly closed the monitor|process exited while connecting to monitor)[^:]*$/i;

/**
 * What was said but QEMU's warnings, of which libvirt quotes as many as there are. QEMU goes on after one,
 * so it ends for no such thing; TCG has one for each feature of a processor.
 */
export function withoutWarnings(message: string): string {
  if (!message.includes("warning: ")) return message;
  const lines = message.split("\n").map(withoutWarning);
  return lines.filter((line) => line !== undefined).join("\n");
}

/** Undefined for a line that is nothing but a warning. */
function withoutWarning(line: string): string | undefined {
  const head = QEMU_HEAD.exec(line);
  if (head === null) return line;
  const said = line.slice(head.index + head[0].length);
  if (!/\bwarning: /.test(said)) return line;
  const before = line.slice(0, head.index);
  const split = Math.max(0, before.length - BEFORE_WARNING_LENGTH_MAX);
  const kept = before.slice(0, split) + before.slice(split).replace(BEFORE_WARNING, "");
  return kept === "" ? undefined : kept;
}

/** What QEMU said last, and all that follows it; undefined where it said nothing. */
function wordsOfQemu(message: string): string | undefined {
  for (let end = message.length; end >= 0; ) {
    const at = message.lastIndexOf("qemu-system-", end);
    if (at === -1) return undefined;
    const head = QEMU_HEAD.exec(message.slice(at, at + QEMU_HEAD_LENGTH_MAX));
    if (head?.index === 0 && (at === 0 || /\s/.test(message.charAt(at - 1)))) {
      return message.slice(at + head[0].length).replace(OPTION, "");
    }
    end = at - 1;
  }
  return undefined;
}

/**
 * The last words in an error of libvirt, which quotes QEMU's where it knows them. Of a path they keep the
 * last part: where the files lie on a node is nobody's business. Undefined where nothing is said but that
 * QEMU ended.
 */
export function lastWords(message: string): LastWords | undefined {
  const ofQemu = wordsOfQemu(message);
  const text = ofQemu ?? message.replace(LIBVIRT_HEAD, "");
  if (ofQemu === undefined && NO_WORDS.test(text)) return undefined;
  return { by: ofQemu === undefined ? "libvirt" : "QEMU", text: inOneLine(text) };
}

/** The last line that QEMU itself has written since it was last started, as it is in libvirt's log. */
export function lastLineOfQemu(log: string): string | undefined {
  const run = log.slice(Math.max(0, log.lastIndexOf(": starting up libvirt version")));
  return withoutWarnings(run)
    .split("\n")
    .findLast((line) => wordsOfQemu(line) !== undefined);
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
