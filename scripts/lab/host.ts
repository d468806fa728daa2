import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ifThereSync } from "../../src/util/errno.ts";
import { until } from "../../src/util/until.ts";
import { Failure } from "../run-program.ts";
import type { Host } from "./lab.ts";
import { ensureLink, removeLink } from "./network.ts";
import { findFirst, killAll, markOf, processesOn } from "./processes.ts";
import { type Answer, ask, ENVIRONMENT, must } from "./programs.ts";

const BOOT_TIMEOUT_MS = 30_000;
const LOG_LINES_SHOWN = 5;

export type HostState = "running" | "frozen" | "off";

export function stateOf(host: Host): HostState {
  const first = findFirst(host);
  if (first === undefined) return "off";
  return first.isStopped ? "frozen" : "running";
}

/** Makes sure that the host is on: that it has its namespaces and its folders. Starts no program on it. */
export async function ensureOn(host: Host): Promise<void> {
  if (stateOf(host) !== "off") return await ensureLink(host);
  // What is left of one that was killed before it was ready.
  await killAll(host.lab, (one) => one.host === host.name);
  mkdirSync(host.folder, { recursive: true, mode: 0o755 });
  // The state of a kernel that has lost its power: taps, routes, rules.
  await removeLink(host);
  await ensureLink(host);
  await boot(host);
}

async function boot(host: Host): Promise<void> {
  const logFile = join(host.folder, "host.log");
  const log = openSync(logFile, "a", 0o600);
  const unshare = [
    ...["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"],
    // Unmounting must come through: mounts here keep network namespaces of others alive.
    ...["--propagation", "slave"],
  ];
  const command = [join(import.meta.dirname, "host.sh"), host.name, host.folder];
  const child = spawn("nsenter", [`--net=/run/netns/${host.namespace}`, ...unshare, ...command], {
    cwd: "/",
    detached: true,
    stdio: ["ignore", log, log],
    env: { ...ENVIRONMENT, ...markOf(host.lab, host.name) },
  });
  closeSync(log);
  let ended: string | undefined;
  child
    .on("error", (error) => (ended = error.message))
    .on("exit", (code) => (ended = `exit ${code}`));
  const isReady = () => {
    if (ended !== undefined) {
      throw new Failure(`${host.name} does not start (${ended}); ${tailOf(logFile)}`);
    }
    return findFirst(host) !== undefined;
  };
  await until(isReady, {
    timeoutMs: BOOT_TIMEOUT_MS,
    everyMs: 20,
    onTimeout: () => new Failure(`${host.name} is not ready; ${tailOf(logFile)}`),
  });
  child.unref();
}

/** The command that runs another one on the host. @throws Failure if the host does not run. */
export function commandOn(host: Host, command: readonly string[], folder = "/"): readonly string[] {
  const first = findFirst(host);
  if (first === undefined) {
    throw new Failure(`${host.name} is off; start it: npm run lab -- start ${host.name}`);
  }
  if (first.isStopped) {
    throw new Failure(`${host.name} is frozen; thaw it: npm run lab -- thaw ${host.name}`);
  }
  const namespaces = ["--mount", "--uts", "--ipc", "--net", "--pid"];
  return ["nsenter", "--target", String(first.pid), ...namespaces, `--wdns=${folder}`, ...command];
}

/** Runs a program on the host to its end. */
export async function askOn(
  host: Host,
  command: readonly string[],
  timeoutMs?: number,
): Promise<Answer> {
  const [file = "", ...args] = commandOn(host, command);
  return await ask(file, args, timeoutMs === undefined ? {} : { timeoutMs });
}

/** Starts a program on the host, where it outlives this one. Its output goes to the end of `logFile`. */
export async function startOn(
  host: Host,
  command: readonly string[],
  logFile: string,
): Promise<void> {
  // Its parent has ended then, so the first process of the host takes it over, and reaps it.
  const start = 'exec >>"$1" 2>&1 </dev/null; shift; setsid "$@" &';
  const [file = "", ...args] = commandOn(host, ["sh", "-c", start, "sh", logFile, ...command]);
  await must(file, args);
}

/** Whether such a program runs on the host. */
export function runsOn(host: Host, isMeant: (words: readonly string[]) => boolean): boolean {
  return processesOn(host).some(({ isInside, words }) => isInside && isMeant(words));
}

/** The end of a log, for an error. */
export function tailOf(logFile: string): string {
  const text = ifThereSync(() => readFileSync(logFile, "utf8")) ?? "";
  const lines = text.trim().split("\n").slice(-LOG_LINES_SHOWN);
  return `the end of ${logFile}:\n${lines.join("\n")}`;
}
