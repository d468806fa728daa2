import { renameSync, rmSync, writeFileSync } from "node:fs";
import { N0Error } from "../util/errors.ts";
import type { Log } from "../util/log.ts";

/** A server that is ready. */
export interface Served {
  readonly url: string;
  /** Ends it: what runs has `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

export interface RunOptions {
  readonly log: Log;
  readonly stopTimeoutMs: number;
  readonly pidFile?: string | undefined;
}

const SIGNALS = ["SIGTERM", "SIGINT"] as const;
const EXIT_BUG = 70;

/**
 * Serves until the first SIGTERM or SIGINT, then stops with grace; a second one ends the process at
 * once, which is safe: what was journaled is finished at the next start.
 */
export async function runUntilSignal(
  { log, stopTimeoutMs, pidFile }: RunOptions,
  start: () => Promise<Served>,
): Promise<void> {
  endOnBugs(log);
  const asked = Promise.withResolvers<NodeJS.Signals>();
  let isAsked = false;
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (isAsked) {
        log.warn("ended at once", { signal });
        process.exit(signal === "SIGINT" ? 130 : 143);
      }
      isAsked = true;
      asked.resolve(signal);
    });
  }
  const served = await start();
  if (pidFile !== undefined) writePidFile(pidFile);
  log.info("ready", { url: served.url, pid: process.pid });
  const signal = await asked.promise;
  log.info("stopping", { signal, stopTimeoutMs });
  await served.stop(stopTimeoutMs);
  if (pidFile !== undefined) rmSync(pidFile, { force: true });
  log.info("stopped");
  for (const name of SIGNALS) process.removeAllListeners(name);
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
