import { backoffMs } from "../util/backoff.ts";
import type { Clock } from "../util/clock.ts";
import { isPassing, kindOf } from "../util/errors.ts";
import type { Random } from "../util/random.ts";
import { SimulatedCrash } from "./faults.ts";

const HARD_FAILURES_MAX = 5;
const BACKOFF = { firstMs: 200, maxMs: 5_000 };

/** Thrown when work keeps failing for a reason that will not pass by itself. */
export class GaveUpError extends Error {
  override name = "GaveUpError";
}

export interface PersistOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Ends the wait, with its reason: the process ends, and recovery will continue the work. */
  readonly signal: AbortSignal;
  /** Gives up only after this time, because the repair of a node takes a moment. */
  readonly giveUpAfterMs: number;
  readonly onFailure?: (reason: unknown, tries: number) => void | Promise<void>;
  /** The number of permanent failures before it gives up; 5 by default. */
  readonly hardFailuresMax?: number;
  /** Waits before the next try, and rejects when `signal` aborts. By default it uses the clock. */
  readonly sleep?: (ms: number) => Promise<void>;
}

/** A full file system may get room again. */
export function passes(reason: unknown): boolean {
  return isPassing(reason) || kindOf(reason) === "resource_exhausted";
}

/**
 * Repeats `work` until it succeeds: for ever while something is unavailable or full, otherwise a few times
 * and for a while. `backoffMs` gives the wait between two tries.
 *
 * @throws GaveUpError whose cause is the last reason.
 */
export async function persist(work: () => Promise<void>, options: PersistOptions): Promise<void> {
  const {
    clock,
    random,
    signal,
    giveUpAfterMs,
    onFailure,
    hardFailuresMax = HARD_FAILURES_MAX,
    sleep = (ms) => clock.sleep(ms, signal),
  } = options;
  let hardFailures = 0;
  const startedMs = clock.monotonicMs();
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (reason) {
      if (reason instanceof SimulatedCrash) throw reason;
      signal.throwIfAborted();
      if (!passes(reason)) hardFailures += 1;
      await onFailure?.(reason, tries);
      const isLong = clock.monotonicMs() - startedMs >= giveUpAfterMs;
      if (hardFailures >= hardFailuresMax && isLong) {
        throw new GaveUpError(`gave up after ${tries} tries`, { cause: reason });
      }
      await sleep(backoffMs(BACKOFF, tries, random));
    }
  }
}
