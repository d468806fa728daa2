import { renameSync, rmSync, writeFileSync } from "node:fs";
import { N0Error } from "../util/errors.ts";
import type { Log } from "../util/log.ts";

/** A server that is ready. */
export interface Served {
  readonly url: string;
  /** Ends it. Running calls have `graceMs` to end. */
  stop(graceMs: number): Promise<void>;
  /** The work that has not ended yet, in words for the log. */
  stillRuns(): readonly string[];
}

export interface RunOptions {
  readonly log: Log;
  readonly stopTimeoutMs: number;
  readonly pidFile?: string | undefined;
}

const SIGNALS = ["SIGTERM", "SIGINT"] as const;
const EXIT_BUG = 70;
/** Work that is aborted at the stop timeout ends in a few milliseconds, unless it hangs. */
const AFTER_CUT_MS = 1_000;

/**
 * Serves until the first SIGTERM or SIGINT, then stops with a grace time. A second signal ends the process
 * at once, and so does the stop timeout if something hangs. Both are safe, because the next start undoes or
 * finishes the open transactions in the journal.
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
        log.error("ended at the stop timeout; the next start finishes or undoes what still runs", {
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
  // From here on, it still keeps the process alive.
  late?.unref();
  removePidFile();
  log.info("stopped");
  for (const name of SIGNALS) process.removeAllListeners(name);
}

/**
 * Ends the process by the default action of the signal. Nothing can delay that. `process.exit` would wait
 * for threads, and one of them may hang.
 */
function endBy(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

/** Written completely or not at all, because programs wait for it. */
function writePidFile(path: string): void {
  try {
    writeFileSync(`${path}.tmp`, `${process.pid}\n`);
    renameSync(`${path}.tmp`, path);
  } catch (cause) {
    throw new N0Error("failed_precondition", `pid file ${path} cannot be written`, { cause });
  }
}

/** A process with a bug in an unknown place must not go on. The journal makes its end safe. */
function endOnBugs(log: Log): void {
  process.on("uncaughtException", (error, origin) => {
    log.error("a bug ended the process", { origin, error });
    process.exit(EXIT_BUG);
  });
}
