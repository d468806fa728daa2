import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import process from "node:process";
import { errorCode } from "../../src/util/errno.ts";
import { until } from "../../src/util/until.ts";
import { Failure } from "../run-program.ts";
import type { Host, Lab } from "./lab.ts";

/** In the environment of the processes of a host: its lab and name. No name: they are of the lab as a whole. */
const MARK = "N0STACK_LAB_HOST";
const DEADLINE_MS = 20_000;
const EVERY_MS = 10;
const EMPTY_IN_A_ROW = 3;

export interface HostProcess {
  /** As this computer counts. */
  readonly pid: number;
  /** The name of the host. */
  readonly host: string;
  readonly words: readonly string[];
  /** It is stopped by a signal. */
  readonly isStopped: boolean;
  /** It is in the process namespace of its host. The others have started that, or a program in it. */
  readonly isInside: boolean;
  /** The first process of its namespace: all others end with it. */
  readonly isFirst: boolean;
}

export function markOf({ number }: Lab, hostName: string = ""): NodeJS.ProcessEnv {
  return { [MARK]: `${number}/${hostName}` };
}

/**
 * All processes of a lab: those that bear its mark, and those in a process namespace with one of
 * these. So none is missed, whatever its name, its parent or its environment.
 */
export function processesOf(lab: Lab): readonly HostProcess[] {
  const ours = `${MARK}=${lab.number}/`;
  const own = readlinkSync("/proc/self/ns/pid");
  const seen = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .flatMap((name) => ifRunning(() => look(Number(name), ours)) ?? []);
  const hosts = new Map(
    seen.flatMap(({ namespace, mark }) =>
      mark === undefined || mark === "" || namespace === own ? [] : [[namespace, mark]],
    ),
  );
  return seen.flatMap(({ namespace, mark, ...found }) => {
    const host = hosts.get(namespace) ?? mark;
    return host === undefined ? [] : [{ ...found, host, isInside: namespace !== own }];
  });
}

export function processesOn(host: Host): readonly HostProcess[] {
  return processesOf(host.lab).filter((one) => one.host === host.name);
}

/** The first process of a host that is ready for programs. */
export function findFirst(host: Host): HostProcess | undefined {
  // Until host.sh has made the host's folders, the first process is host.sh itself.
  return processesOn(host).find(({ isFirst, words }) => isFirst && words[0] === "tini");
}

/** Ends processes of a lab as a power cut does: at once. */
export async function killAll(lab: Lab, isMeant: (one: HostProcess) => boolean): Promise<void> {
  let left: readonly HostProcess[] = [];
  let emptyInARow = 0;
  const areGone = () => {
    left = processesOf(lab).filter(isMeant);
    // A process that becomes another program has no environment for a moment.
    emptyInARow = left.length === 0 ? emptyInARow + 1 : 0;
    // All others of a host end with its first process, and what waits for them can reap them.
    const firsts = left.filter(({ isInside, isFirst }) => isInside && isFirst);
    for (const { pid } of firsts.length > 0 ? firsts : left) signal(pid, "SIGKILL");
    return emptyInARow === EMPTY_IN_A_ROW;
  };
  await until(areGone, {
    timeoutMs: DEADLINE_MS,
    everyMs: EVERY_MS,
    onTimeout: () =>
      new Failure(`processes do not end: ${named(left)}; look at them, then try again`),
  });
}

/** Stops all processes of a host, those too that start in the meantime. */
export async function stopAll(host: Host): Promise<void> {
  await signalUntil(host, "SIGSTOP", ({ isStopped }) => isStopped);
}

export async function continueAll(host: Host): Promise<void> {
  await signalUntil(host, "SIGCONT", ({ isStopped }) => !isStopped);
}

async function signalUntil(
  host: Host,
  name: "SIGSTOP" | "SIGCONT",
  isDone: (one: HostProcess) => boolean,
): Promise<void> {
  let left: readonly HostProcess[] = [];
  const areDone = () => {
    left = processesOn(host).filter((one) => one.isInside && !isDone(one));
    for (const { pid } of left) signal(pid, name);
    return left.length === 0;
  };
  await until(areDone, {
    timeoutMs: DEADLINE_MS,
    everyMs: EVERY_MS,
    onTimeout: () => new Failure(`${host.name}: ${name} does not reach ${named(left)}; try again`),
  });
}

function look(pid: number, mark: string) {
  const state = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /s, "")
    .slice(0, 1);
  // What has ended and was not reaped yet does nothing.
  if (state === "Z" || state === "X") return undefined;
  const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  const inNamespaces = /^NSpid:\s+(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return {
    pid,
    namespace: readlinkSync(`/proc/${pid}/ns/pid`),
    mark: environment.find((entry) => entry.startsWith(mark))?.slice(mark.length),
    words: readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1),
    isStopped: state === "T",
    isFirst: inNamespaces?.split(/\s+/).at(-1) === "1",
  };
}

/** The result of `work`; undefined if the process ends meanwhile. */
function ifRunning<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (["ENOENT", "ESRCH", "EACCES"].includes(errorCode(error) ?? "")) return undefined;
    throw error;
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  ifRunning(() => process.kill(pid, name));
}

function named(processes: readonly HostProcess[]): string {
  return processes.map(({ pid, words }) => `${pid} (${words[0] ?? ""})`).join(", ");
}
