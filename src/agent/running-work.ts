import type { Clock } from "../util/clock.ts";
import { N0Error } from "../util/errors.ts";
import type { Log } from "../util/log.ts";

/** Work hangs if it goes on for this long after its signal aborted. */
export const HUNG_AFTER_MS = 30_000;
/**
 * The same request comes again only after its caller gave up the first one, and it then waits behind it. Work
 * hangs also if it goes on for this long after such a repeat. No removal and no undo takes as long.
 */
export const HUNG_AFTER_REPEAT_MS = 600_000;

export interface Watch {
  readonly clock: Clock;
  readonly log: Log;
  /** Called once, when the work hangs. */
  readonly onHung: (reason: N0Error) => void;
}

/** Made once: without a reason, each end would make an error with a stack. */
const ENDED = new Error("the work has ended");

/** Running work of a key, which may hang: not end although its signal aborted. */
export class RunningWork {
  readonly generation: bigint;
  readonly #key: string;
  readonly #watch: Watch;
  readonly #startedAtMs: number;
  readonly #told = new AbortController();
  readonly #ended = new AbortController();
  #isRepeated = false;
  #hung: N0Error | undefined;

  constructor(key: string, generation: bigint, watch: Watch) {
    this.generation = generation;
    this.#key = key;
    this.#watch = watch;
    this.#startedAtMs = watch.clock.nowMs();
  }

  /** Aborts when the work should end. */
  get signal(): AbortSignal {
    return this.#told.signal;
  }

  /** Set while the work hangs: the error for all callers that would have to wait for its end. */
  get hung(): N0Error | undefined {
    return this.#hung;
  }

  /** Aborts its signal. */
  abort(reason: N0Error): void {
    if (this.signal.aborted) return;
    this.#told.abort(reason);
    void this.#watchFor(HUNG_AFTER_MS);
  }

  /** Called when the same request comes again. */
  repeat(): void {
    if (this.#isRepeated) return;
    this.#isRepeated = true;
    void this.#watchFor(HUNG_AFTER_REPEAT_MS);
  }

  /** Called when the work has ended, well or not. */
  end(): void {
    this.#ended.abort(ENDED);
    if (this.#hung === undefined) return;
    this.#hung = undefined;
    this.#watch.log.warn("hanging work has ended", { key: this.#key, since: this.#since });
  }

  async #watchFor(ms: number): Promise<void> {
    const { clock, log, onHung } = this.#watch;
    try {
      await clock.sleep(ms, this.#ended.signal);
    } catch {
      return;
    }
    if (this.#hung !== undefined || this.#ended.signal.aborted) return;
    this.#hung = hangs(this.#key, this.#since);
    log.error("work hangs: it does not end after it was aborted", {
      key: this.#key,
      since: this.#since,
    });
    onHung(this.#hung);
  }

  get #since(): string {
    return new Date(this.#startedAtMs).toISOString();
  }
}

/**
 * Only an operator can help here. A transaction that undoes something needs one then, and this message tells
 * the operator what to do.
 */
function hangs(key: string, since: string): N0Error {
  const message =
    `work on ${key} hangs in the agent since ${since}: restart the agent of this node, ` +
    "then retry the transaction";
  return new N0Error("failed_precondition", message, { resource: key });
}
