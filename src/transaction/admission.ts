import type { Clock } from "../util/clock.ts";
import { N0Error } from "../util/errors.ts";

const DELAY_MIN_MS = 200;
const DELAY_MAX_MS = 15_000;
/** The assumed time that a request holds a place, until some have been measured. */
const HELD_FIRST_MS = 1_000;
/** The mean is taken of about this many. */
const HELD_WEIGHT = 16;
/** One of so many places is for the other projects than the one that has all others. */
const PLACES_PER_RESERVED = 16;
/** A project with fewer open requests is quiet. */
const QUIET_BELOW = 8;
/** A quiet project that has just ended a request is likely to send the next one. */
const QUIET_STAYS_MS = 1_000;

/**
 * Admits at most `openMax` requests at once, so that they end in bounded time. Others get a retry delay
 * that grows with the number already refused. A refusal takes time too: if all refused clients came back at
 * once, the admitted requests would get none.
 */
export class Admission {
  readonly #openMax: number;
  readonly #clock: Clock;
  #open = 0;
  /** By project. Only those that have some. */
  readonly #openOf = new Map<string, number>();
  #quiet = 0;
  #quietUntilMs = 0;
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

  /** The number of projects that have a place. */
  get projects(): number {
    return this.#openOf.size;
  }

  /** Whether a project has only a few places next to others, or had until a moment ago. */
  get hasQuiet(): boolean {
    if (this.#quiet > 0 && this.projects > 1) return true;
    return this.#clock.monotonicMs() < this.#quietUntilMs;
  }

  /**
   * Takes a place, until the result is disposed of.
   *
   * @throws N0Error `resource_exhausted` with a retry delay if all places are taken, or all that one project may
   *   have.
   */
  admit(project = ""): Disposable {
    const ofProject = this.#openOf.get(project) ?? 0;
    const ofProjectMax = this.#openMax - Math.floor(this.#openMax / PLACES_PER_RESERVED);
    if (this.#open >= this.#openMax) {
      throw this.#refusal(`${this.#openMax} transactions are open`);
    }
    if (ofProject >= ofProjectMax) {
      throw this.#refusal(`${ofProject} transactions of this project are open`);
    }
    this.#open += 1;
    this.#count(project, 1);
    const sinceMs = this.#clock.monotonicMs();
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (isHeld) this.#giveBack(project, sinceMs);
        isHeld = false;
      },
    };
  }

  #count(project: string, by: number): void {
    const before = this.#openOf.get(project) ?? 0;
    const after = before + by;
    if (after === 0) this.#openOf.delete(project);
    else this.#openOf.set(project, after);
    this.#quiet += Number(isQuiet(after)) - Number(isQuiet(before));
  }

  #giveBack(project: string, sinceMs: number): void {
    const nowMs = this.#clock.monotonicMs();
    if (this.#quiet > 0 && this.projects > 1) this.#quietUntilMs = nowMs + QUIET_STAYS_MS;
    this.#open -= 1;
    this.#count(project, -1);
    this.#ahead = this.#open === 0 ? 0 : Math.max(0, this.#ahead - 1);
    const heldMs = nowMs - sinceMs;
    this.#heldMeanMs += (heldMs - this.#heldMeanMs) / HELD_WEIGHT;
  }

  #refusal(why: string): N0Error {
    const turnMs = this.#heldMeanMs / this.#openMax;
    this.#ahead = Math.min(this.#ahead + 1, Math.ceil(DELAY_MAX_MS / turnMs));
    const retryAfterMs = Math.ceil(
      Math.min(DELAY_MAX_MS, Math.max(DELAY_MIN_MS, this.#ahead * turnMs)),
    );
    return new N0Error("resource_exhausted", `${why}: try again later`, { retryAfterMs });
  }
}

function isQuiet(open: number): boolean {
  return open > 0 && open < QUIET_BELOW;
}
