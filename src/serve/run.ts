import { renameSync, rmSync, writeFileSync } from "node:fs";
import { N0Error } from "../util/errors.ts";
import type { Log } from "../util/log.ts";

/** A server that is ready. */
export interface Served {
  readonly url: string;
  /** Ends it: what runs has `graceMs`. */
  stop(graceMs: number): Promise<void>;
  /** What it has not ended yet, in words for the log. */
  stillRuns(): readonly string[];
}

export interface RunOptions {
  readonly log: Log;
  readonly stopTimeoutMs: number;
  readonly pidFile?: string | undefined;
}

const SIGNALS = ["SIGTERM", "SIGINT"] as const;
const EXIT_BUG = 70;
/** What was cut at the stop timeout ends in a few milliseconds, unless it hangs. */
const AFTER_CUT_MS = 1_000;

/**
 * Serves until the first SIGTERM or SIGINT, then stops with grace. A second one ends the process at once,
 * and so does the stop timeout where something hangs. Both are safe: what was journaled is finished at the
 * next start.
 */
export async function runUntilSignal(
  { log, stopTimeoutMs, pidFile }: RunOptions,
  start: () => Promise<Served>,
): Promise<void> {
  endOnBugs(log);
  const asked = Promise.withResolvers<NodeJS.Signals>();
  let served: Served | undefined;
  let late: NodeJS.Timeout | undefined;
  const removePidFile = () => {
    if (pidFile !== undefined) rmSync(pidFile, { force: true });
  };
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (late !== undefined) {
        log.warn("ended at once", { signal });
        return endBy(signal);
      }
      late = setTimeout(() => {
        log.error("ended at the stop timeout: what still runs is finished at the next start", {
          stopTimeoutMs,
          stillRuns: served?.stillRuns() ?? ["the start"],
        });
        removePidFile();
        endBy(signal);
      }, stopTimeoutMs + AFTER_CUT_MS);
      asked.resolve(signal);
    });
  }
  served = await start();
  if (pidFile !== undefined) writePidFile(pidFile);
  log.info("ready", { url: served.url, pid: process.pid });
  const signal = await asked.promise;
  log.info("stopping", { signal, stopTimeoutMs });
  await served.stop(stopTimeoutMs);
  // It still counts for what keeps the process alive from here on.
  late?.unref();
  removePidFile();
  log.info("stopped");
  for (const name of SIGNALS) process.removeAllListeners(name);
}

/**
 * Ends the process as the signal does where nobody handles it. Nothing can hold that up, while
 * `process.exit` waits for threads, and one of those may be what hangs.
 */
function endBy(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

/** Whole or not there, for whoever waits for it. */
function writePidFile(path: string): void {
  try {
    writeFileSync(`${path}.tmp`, `${process.pid}\n`);
    renameSync(`${path}.tmp`, path);
  } catch (cause) {
    throw new N0Error("failed_precondition", `pid file ${path} cannot be written`, { cause });
  }
}

/** A process with a bug in an unknown place must not go on; the journal makes ending it safe. */
function endOnBugs(log: Log): void {
  process.on("uncaughtException", (error, origin) => {
    log.error("a bug ended the process", { origin, error });
    process.exit(EXIT_BUG);
  });
}
