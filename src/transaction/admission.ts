import type { Clock } from "../util/clock.ts";
import { N0Error } from "../util/errors.ts";

const DELAY_MIN_MS = 1_000;
const DELAY_MAX_MS = 15_000;
const WINDOW_MS = 1_000;

/**
 * Lets so many requests in at once and no more, so that those that are in are done in bounded time. What is
 * refused is told to come again later the more are refused: to refuse takes time as well, and clients that
 * all came again after a second would leave none for those that are in.
 */
export class Admission {
  readonly #openMax: number;
  readonly #clock: Clock;
  #open = 0;
  #refused = 0;
  #windowEndsMs = 0;

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
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (isHeld) this.#open -= 1;
        isHeld = false;
      },
    };
  }

  #refusal(): N0Error {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs >= this.#windowEndsMs) {
      // Half of the last window's count stays: a load that goes on is known at once in the next one.
      this.#refused = nowMs - this.#windowEndsMs < WINDOW_MS ? this.#refused / 2 : 0;
      this.#windowEndsMs = nowMs + WINDOW_MS;
    }
    this.#refused += 1;
    const retryAfterMs = Math.min(
      DELAY_MAX_MS,
      Math.ceil(DELAY_MIN_MS * (1 + this.#refused / this.#openMax)),
    );
    const message = `${this.#openMax} transactions are open: try again later`;
    return new N0Error("resource_exhausted", message, { retryAfterMs });
  }
}
