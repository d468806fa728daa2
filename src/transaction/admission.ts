import type { Clock } from "../util/clock.ts";
import { N0Error } from "../util/errors.ts";

const DELAY_MIN_MS = 200;
const DELAY_MAX_MS = 15_000;
/** The assumed time that a request holds a place, until some have been measured. */
const HELD_FIRST_MS = 1_000;
/** The mean is taken of about this many. */
const HELD_WEIGHT = 16;

/**
 * Admits at most `openMax` requests at once, so that they end in bounded time. Others get a retry delay
 * that grows with the number already refused. A refusal takes time too: if all refused clients came back at
 * once, the admitted requests would get none.
 */
export class Admission {
  readonly #openMax: number;
  readonly #clock: Clock;
  #open = 0;
  /**
   * The number of refusals, less the places that were released since. A client that comes back too early
   * counts again.
   */
  #ahead = 0;
  #heldMeanMs = HELD_FIRST_MS;

  constructor(openMax: number, clock: Clock) {
    this.#openMax = openMax;
    this.#clock = clock;
  }

  /**
   * Takes a place, until the result is disposed of.
   *
   * @throws N0Error `resource_exhausted` with a retry delay if all places are taken.
   */
  admit(): Disposable {
    if (this.#open >= this.#openMax) throw this.#refusal();
    this.#open += 1;
    const sinceMs = this.#clock.monotonicMs();
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (isHeld) this.#giveBack(sinceMs);
        isHeld = false;
      },
    };
  }

  #giveBack(sinceMs: number): void {
    this.#open -= 1;
    this.#ahead = this.#open === 0 ? 0 : Math.max(0, this.#ahead - 1);
    const heldMs = this.#clock.monotonicMs() - sinceMs;
    this.#heldMeanMs += (heldMs - this.#heldMeanMs) / HELD_WEIGHT;
  }

  #refusal(): N0Error {
    const turnMs = this.#heldMeanMs / this.#openMax;
    this.#ahead = Math.min(this.#ahead + 1, Math.ceil(DELAY_MAX_MS / turnMs));
    const retryAfterMs = Math.ceil(
      Math.min(DELAY_MAX_MS, Math.max(DELAY_MIN_MS, this.#ahead * turnMs)),
    );
    const message = `${this.#openMax} transactions are open: try again later`;
    return new N0Error("resource_exhausted", message, { retryAfterMs });
  }
}
