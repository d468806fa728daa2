import type { Clock } from "../util/clock.ts";
import { N0Error } from "../util/errors.ts";

const DELAY_MIN_MS = 200;
const DELAY_MAX_MS = 15_000;
/** What a place is taken to be held for until some were. */
const HELD_FIRST_MS = 1_000;
/** Of how many the mean is taken, about. */
const HELD_WEIGHT = 16;

/**
 * Lets so many requests in at once and no more, so that those that are in are done in bounded time. The rest
 * is told when to come again: about when those that were refused before will have been let in. To refuse
 * takes time too, and if all came again at once, those that are in would get none.
 */
export class Admission {
  readonly #openMax: number;
  readonly #clock: Clock;
  #open = 0;
  /** Refused, and not made up for by places given back since. Who comes too early counts again. */
  #ahead = 0;
  #heldMeanMs = HELD_FIRST_MS;

  constructor(openMax: number, clock: Clock) {
    this.#openMax = openMax;
    this.#clock = clock;
  }

  /**
   * A place, until it is disposed of.
   *
   * @throws N0Error `resource_exhausted` with a delay when all are taken.
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
