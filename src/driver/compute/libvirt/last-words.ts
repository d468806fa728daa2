import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { inOneLine } from "../../command/one-line.ts";

/** The last words of a program, in one line, for a message to a client. */
export interface LastWords {
  readonly by: "QEMU" | "libvirt";
  readonly text: string;
}

/** virtlogd keeps up to 2 MiB for a domain. The last words are at the end. */
const LOG_TAIL_BYTES = 64 * 1024;
/** The beginning of each line of QEMU, after a time. */
const QEMU_HEAD = /qemu-system-\w+: /;
/** The option that is at fault, with its value. */
const OPTION = /^-[\w-]+ (?:\{.*?\}|\S+): /s;
/** The text before a warning, such as its time. It is removed with the warning. */
const BEFORE_WARNING = /[:\s]{0,3}\S{0,40}\s?$/;
const BEFORE_WARNING_LENGTH_MAX = 44;
const QEMU_HEAD_LENGTH_MAX = 40;
/** The text that libvirt puts before QEMU's words, and that names no reason. */
const LIBVIRT_HEAD = /^(?:internal error|operation failed): /;
/** Says only that QEMU has ended. */
const NO_WORDS =
  /^(?:qemu unexpectedly closed the monitor|process exited while connecting to monitor)[^:]*$/i;

/**
 * The text without QEMU's warnings, all of which libvirt quotes. QEMU goes on after a warning, so a warning is
 * never the reason of its end. TCG warns of each missing feature of the processor.
 */
export function withoutWarnings(message: string): string {
  if (!message.includes("warning: ")) return message;
  const lines = message.split("\n").map(withoutWarning);
  return lines.filter((line) => line !== undefined).join("\n");
}

/** Undefined for a line that is only a warning. */
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

/** The last words of QEMU and all that follows them; undefined if QEMU said nothing. */
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
 * The last words in an error of libvirt, which quotes those of QEMU if it knows them. Keeps only the last part
 * of each path, since clients need not know where files lie on a node. Undefined if the error says only that
 * QEMU ended.
 */
export function lastWords(message: string): LastWords | undefined {
  const ofQemu = wordsOfQemu(message);
  const text = ofQemu ?? message.replace(LIBVIRT_HEAD, "");
  if (ofQemu === undefined && NO_WORDS.test(text)) return undefined;
  return { by: ofQemu === undefined ? "libvirt" : "QEMU", text: inOneLine(text) };
}

/** The last line of QEMU itself since its last start, as libvirt's log has it. */
export function lastLineOfQemu(log: string): string | undefined {
  const run = log.slice(Math.max(0, log.lastIndexOf(": starting up libvirt version")));
  return withoutWarnings(run)
    .split("\n")
    .findLast((line) => wordsOfQemu(line) !== undefined);
}

/** Like `lastWordsInLog`, for a log file; undefined if there is none, or it cannot be read. */
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

/** The number of processes that the kernel has killed for lack of memory: `oom_kill` in proc_vmstat(5). */
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
