import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { BASE_DIRECTORY, LOG_FILE, PID_FILE, PROJECT } from "./places.ts";
import { askN0cli, ENVIRONMENT } from "./programs.ts";
import { QuickstartError, until } from "./progress.ts";

const START_TIMEOUT_MS = 60_000;
/** Longer than n0core gives the calls that run. */
const STOP_TIMEOUT_MS = 30_000;
const LOG_LINES_SHOWN = 10;

/** The process that the pid file names, if it is n0core: the number may be another's by now. */
export function findN0core(): number | undefined {
  const pid = Number(readOr(PID_FILE, ""));
  if (!Number.isInteger(pid) || pid < 2) return undefined;
  const isOurs = readOr(`/proc/${pid}/cmdline`, "").includes(PID_FILE);
  return isOurs && !isZombie(pid) ? pid : undefined;
}

/**
 * Starts n0core in the background; it lives on when this process and its terminal end. Returns when it
 * is ready and its node too.
 *
 * @throws QuickstartError when it ends or is not ready in time.
 */
export async function startN0core(): Promise<number> {
  if ((await askN0cli("get", "node", "-o", "name", "--timeout", "2s")).code === 0) {
    throw new QuickstartError(
      "another n0core answers on this machine (n0cli get node); stop it, then run this again",
    );
  }
  rmSync(PID_FILE, { force: true });
  const log = openSync(LOG_FILE, "a");
  const files = ["--pid-file", PID_FILE, "--log-file", LOG_FILE];
  const args = ["serve", "standalone", "--base-directory", BASE_DIRECTORY, ...files];
  // What it writes before its log is open, or when it cannot start at all, goes to the same file.
  const child = spawn(join(PROJECT, "bin/n0core"), args, {
    cwd: "/",
    detached: true,
    stdio: ["ignore", log, log],
    env: ENVIRONMENT,
  });
  closeSync(log);
  let hasEnded = false;
  child.on("exit", () => {
    hasEnded = true;
  });
  const isReady = () => {
    if (hasEnded) throw new QuickstartError(`n0core ended:\n${logTail()}`);
    return findN0core() !== undefined;
  };
  await until(isReady, START_TIMEOUT_MS, () => `n0core is not ready:\n${logTail()}`);
  child.unref();
  return findN0core() ?? 0;
}

/** Waits until there is a node that virtual machines can be put on. */
export async function waitForNode(): Promise<void> {
  const isReady = async () =>
    (await askN0cli("get", "node", "-o", "json")).stdout.includes('"READY"');
  await until(isReady, START_TIMEOUT_MS, () => `the node is not READY:\n${logTail()}`);
}

export async function stopN0core(pid: number): Promise<void> {
  process.kill(pid, "SIGTERM");
  const isGone = () => readOr(`/proc/${pid}/cmdline`, "") === "" || isZombie(pid);
  await until(
    isGone,
    STOP_TIMEOUT_MS,
    () => `n0core (${pid}) does not end; look at ${LOG_FILE}, then: kill -KILL ${pid}`,
  );
}

/** Ended, but its parent, which is not us, has not looked yet. */
function isZombie(pid: number): boolean {
  return /^State:\s+Z/m.test(readOr(`/proc/${pid}/status`, ""));
}

function logTail(): string {
  const lines = readOr(LOG_FILE, "").trim().split("\n");
  return [...lines.slice(-LOG_LINES_SHOWN), `all of it: ${LOG_FILE}`].join("\n");
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // ESRCH: a process that ended while its file in /proc was read.
    if (code === "ENOENT" || code === "ESRCH") return otherwise;
    throw error;
  }
}
