import { type Clock, pause } from "../util/clock.ts";
import type { Log } from "../util/log.ts";

export interface Keeping {
  readonly clock: Clock;
  readonly log: Log;
  /** Aborts when the agent ends. */
  readonly signal: AbortSignal;
}

/**
 * Does the work now and after each pause, until `signal` aborts. A failure repeats until somebody repairs it, so it
 * is logged once.
 *
 * @param failure what is wrong then, for the log.
 */
export async function keepDoing(
  { clock, log, signal }: Keeping,
  intervalMs: number,
  failure: string,
  work: () => Promise<void>,
): Promise<void> {
  let lastFailure: string | undefined;
  while (!signal.aborted) {
    try {
      await work();
      lastFailure = undefined;
    } catch (error) {
      if (signal.aborted) return;
      const message = error instanceof Error ? error.message : String(error);
      if (message !== lastFailure) log.error(failure, { error });
      lastFailure = message;
    }
    await pause(clock, intervalMs, signal);
  }
}
