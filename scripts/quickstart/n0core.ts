import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { errorCode, isAbsent } from "../../src/util/errno.ts";
import { until } from "../../src/util/until.ts";
import { n0coreBuild } from "./builds.ts";
import { BASE_DIRECTORY, LOG_FILE, PID_FILE, PROJECT } from "./places.ts";
import { mustBeFree } from "./port.ts";
import { askN0cli, ENVIRONMENT } from "./programs.ts";
import { QuickstartError } from "./progress.ts";

const START_TIMEOUT_MS = 60_000;
/** Longer than n0core's grace time for running calls. */
const STOP_TIMEOUT_MS = 30_000;
const LOG_LINES_SHOWN = 10;
/** In the environment of the n0core that we start: its build. */
const BUILD = "N0STACK_BUILD";

/** The process of the pid file, if it is n0core: another process may have its number by now. */
export function findN0core(): number | undefined {
  const pid = Number(readOr(PID_FILE, ""));
  if (!Number.isInteger(pid) || pid < 2) return undefined;
  const isOurs = readOr(`/proc/${pid}/cmdline`, "").includes(PID_FILE);
  return isOurs && !isZombie(pid) ? pid : undefined;
}

/** The build and checkout of a running n0core, if it is not this one. */
export function otherBuildOf(pid: number): string | undefined {
  const entries = readOr(`/proc/${pid}/environ`, "").split("\0");
  const build = entries.find((entry) => entry.startsWith(`${BUILD}=`))?.slice(BUILD.length + 1);
  if (build === n0coreBuild()) return undefined;
  const words = readOr(`/proc/${pid}/cmdline`, "").split("\0");
  const main = words.find((word) => word.endsWith("/src/serve/main.ts")) ?? "";
  return `${build ?? "of an older version"}, of ${join(dirname(main), "../..")}`;
}

/**
 * Starts n0core in the background, where it outlives this process and its terminal. Returns when n0core and its
 * node are ready.
 *
 * @throws QuickstartError if its port is taken, or if it ends or is not ready in time.
 */
export async function startN0core(): Promise<number> {
  await mustBeFree();
  rmSync(PID_FILE, { force: true });
  const log = openSync(LOG_FILE, "a", 0o600);
  const files = ["--pid-file", PID_FILE, "--log-file", LOG_FILE];
  const args = ["serve", "standalone", "--base-directory", BASE_DIRECTORY, ...files];
  // Its output before its log is open, or when it cannot start at all, goes to the same file.
  const child = spawn(join(PROJECT, "bin/n0core"), args, {
    cwd: "/",
    detached: true,
    stdio: ["ignore", log, log],
    env: { ...ENVIRONMENT, [BUILD]: n0coreBuild() },
  });
  closeSync(log);
  let hasEnded = false;
  child.on("exit", () => {
    hasEnded = true;
  });
  const isReady = () => {
    if (hasEnded) throw new QuickstartError(whyEnded());
    return findN0core() !== undefined;
  };
  await until(isReady, {
    timeoutMs: START_TIMEOUT_MS,
    onTimeout: () => new QuickstartError(`n0core is not ready:\n${logTail()}`),
  });
  child.unref();
  return findN0core() ?? 0;
}

/** Waits until there is a node for virtual machines. */
export async function waitForNode(): Promise<void> {
  const isReady = async () =>
    (await askN0cli("get", "node", "-o", "json")).stdout.includes('"READY"');
  await until(isReady, {
    timeoutMs: START_TIMEOUT_MS,
    onTimeout: () => new QuickstartError(`the node is not READY:\n${logTail()}`),
  });
}

export async function stopN0core(pid: number): Promise<void> {
  process.kill(pid, "SIGTERM");
  const isGone = () => readOr(`/proc/${pid}/cmdline`, "") === "" || isZombie(pid);
  await until(isGone, {
    timeoutMs: STOP_TIMEOUT_MS,
    onTimeout: () =>
      new QuickstartError(
        `n0core (${pid}) does not end; see ${LOG_FILE}, then run: kill -KILL ${pid}`,
      ),
  });
}

/** It has ended, but its parent, which is not us, has not read its exit code yet. */
function isZombie(pid: number): boolean {
  return /^State:\s+Z/m.test(readOr(`/proc/${pid}/status`, ""));
}

/** Its last line says why it could not serve. */
function whyEnded(): string {
  const lines = readOr(LOG_FILE, "").trim().split("\n");
  const word = lines.slice(-LOG_LINES_SHOWN).findLast((line) => line.startsWith("n0core: "));
  if (word === undefined) return `n0core ended:\n${logTail()}`;
  return `${word.replace("n0core: ", "n0core does not start: ")}; see ${LOG_FILE}`;
}

function logTail(): string {
  const lines = readOr(LOG_FILE, "").trim().split("\n");
  return [...lines.slice(-LOG_LINES_SHOWN), `the whole log: ${LOG_FILE}`].join("\n");
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    // ESRCH: a process that ended while its file in /proc was read.
    if (isAbsent(error) || errorCode(error) === "ESRCH") return otherwise;
    throw error;
  }
}
