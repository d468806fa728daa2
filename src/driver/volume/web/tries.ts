import { backoffMs } from "../../../util/backoff.ts";
import type { Clock } from "../../../util/clock.ts";
import { isPassing, N0Error } from "../../../util/errors.ts";
import type { Random } from "../../../util/random.ts";

const TRIES_MAX = 5;
const BACKOFF = { firstMs: 500, maxMs: 10_000 };
/** The longest delay that we wait. If a server asks for more, the caller gets the error with the delay. */
const RETRY_AFTER_MAX_MS = 30_000;

export interface TriesOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
}

/** The few tries of a transfer to go on after it broke. */
export class Tries {
  readonly #options: TriesOptions;
  #count = 1;

  constructor(options: TriesOptions) {
    this.#options = options;
  }

  /** The transfer made progress, so the next failure has a reason of its own. */
  renew(): void {
    this.#count = 1;
  }

  /**
   * Does `work` after a wait, and again while it fails for a passing reason. The wait is that of `backoffMs`,
   * and at least as long as the server asked for.
   *
   * @throws the last error (at first `reason`) if there are no more tries, or the server asks for too long a
   * wait.
   */
  async again<T>(reason: unknown, work: () => Promise<T>): Promise<T> {
    const { clock, signal } = this.#options;
    for (let last = reason; ; ) {
      const delayMs = this.#delayMs(last);
      if (this.#count >= TRIES_MAX || delayMs === undefined) throw last;
      this.#count += 1;
      await clock.sleep(delayMs, signal);
      try {
        return await work();
      } catch (error) {
        signal.throwIfAborted();
        if (!isPassing(error)) throw error;
        last = error;
      }
    }
  }

  #delayMs(reason: unknown): number | undefined {
    const wantedMs = (reason instanceof N0Error ? reason.facts.retryAfterMs : undefined) ?? 0;
    if (wantedMs > RETRY_AFTER_MAX_MS) return undefined;
    return Math.max(wantedMs, backoffMs(BACKOFF, this.#count, this.#options.random));
  }
}
