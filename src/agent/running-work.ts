import type { Clock } from "../util/clock.ts";
import { N0Error } from "../util/errors.ts";
import type { Log } from "../util/log.ts";

/** Work that goes on for so long after its signal aborted hangs. */
export const HUNG_AFTER_MS = 30_000;
/**
 * The same request comes again only where its caller gave the first one up, and then waits behind it. Work
 * that goes on for so long after that hangs too. No removal and no undo takes as long.
 */
export const HUNG_AFTER_REPEAT_MS = 600_000;

export interface Watch {
  readonly clock: Clock;
  readonly log: Log;
  /** Called once, when the work hangs. */
  readonly onHung: (reason: N0Error) => void;
}

/** Work that was begun under a key, and whether it still ends when it is told to. */
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

  /** Set while it hangs: what others are told who would have to wait for its end. */
  get hung(): N0Error | undefined {
    return this.#hung;
  }

  /** Tells it to end. */
  abort(reason: N0Error): void {
    if (this.signal.aborted) return;
    this.#told.abort(reason);
    void this.#watchFor(HUNG_AFTER_MS);
  }

  /** The same was asked for again. */
  repeat(): void {
    if (this.#isRepeated) return;
    this.#isRepeated = true;
    void this.#watchFor(HUNG_AFTER_REPEAT_MS);
  }

  /** It has ended, well or not. */
  end(): void {
    this.#ended.abort();
    if (this.#hung === undefined) return;
    this.#hung = undefined;
    this.#watch.log.warn("work that hung has ended", { key: this.#key, since: this.#since });
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
    log.error("work hangs: it does not end", { key: this.#key, since: this.#since });
    onHung(this.#hung);
  }

  get #since(): string {
    return new Date(this.#startedAtMs).toISOString();
  }
}

/** Nothing passes by itself here: who undoes something needs an operator, and is told what that one does. */
function hangs(key: string, since: string): N0Error {
  const message =
    `work on ${key} hangs in the agent since ${since}: restart the agent of this node, ` +
    "then retry the transaction";
  return new N0Error("failed_precondition", message, { resource: key });
}
