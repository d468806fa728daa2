import { backoffMs } from "../../../util/backoff.ts";
import { type Clock, pause } from "../../../util/clock.ts";
import { N0Error } from "../../../util/errors.ts";
import { type Log, withoutLogFields } from "../../../util/log.ts";
import { abortAfter } from "../../../util/race.ts";
import type { Random } from "../../../util/random.ts";
import { Line } from "./line.ts";

/** What a node did not take of a push, with the reasons. */
export type Refusals = ReadonlyMap<string, string>;

export interface ConvergenceOptions {
  /** What is sent, for the log, such as "tables of networks". */
  readonly what: string;
  /**
   * Sends a node the newest state of the things with these keys, which it reads itself. The next push to the node
   * begins when it has ended.
   *
   * @throws if the node may have got nothing. Then all of it is sent again.
   */
  push(nodeName: string, keys: readonly string[], signal: AbortSignal): Promise<Refusals>;
  /** Nobody asks a node that is silent or lost. `wake` says that it is back. */
  isReachable(nodeName: string): boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Aborts when the process ends. */
  readonly shutdown: AbortSignal;
}

/** A thing on a node. */
export interface Place {
  readonly nodeName: string;
  readonly key: string;
}

/** The most keys of one push. */
const KEYS_MAX = 256;
const PUSH_TIMEOUT_MS = 10_000;
/** A node that does not answer is asked again, until it counts as silent. */
const BACKOFF = { firstMs: 250, maxMs: 5_000 };
/** Pushes that nobody waits for take a tenth of the time at most: what is marked meanwhile goes together. */
const GATHER = { factor: 9, maxMs: 1_000 };
/** What a node refuses depends on the node, and somebody may repair that. */
const REFUSED_AGAIN_MS = 30_000;

/**
 * Brings nodes the newest state of things, again and again until each of them has it. It sends states and not
 * changes, so whatever happens in between costs nothing: a node has one push at a time, and the next one has
 * everything that was marked meanwhile.
 *
 *     mark ─▶ due ─▶ pushed ─▶ taken
 *              ▲        ├─failed──▶ due, after a pause
 *              └────────┴─refused─▶ due, after a longer pause
 *
 * Nothing here is durable. Whoever opens it marks everything once, and what a node has already costs little.
 */
export class Convergence {
  readonly #options: ConvergenceOptions;
  readonly #lines = new Map<string, Line>();

  constructor(options: ConvergenceOptions) {
    this.#options = options;
  }

  /** The thing has changed, and the node must have its newest state. */
  mark({ nodeName, key }: Place): void {
    const line = this.#lineOf(nodeName);
    line.mark(key);
    this.#run(nodeName, line);
  }

  /** The node has come back: sends what is due there, and what it refused. */
  wake(nodeName: string): void {
    const line = this.#lines.get(nodeName);
    if (line === undefined) return;
    line.wake();
    this.#run(nodeName, line);
  }

  /** Nothing of the thing has to be brought to the node any more. */
  drop({ nodeName, key }: Place): void {
    const line = this.#lines.get(nodeName);
    line?.drop(key);
    if (line?.isEmpty === true) this.#lines.delete(nodeName);
  }

  /** The number of things that a node does not have yet. */
  get pending(): number {
    return [...this.#lines.values()].reduce((sum, line) => sum + line.pending, 0);
  }

  /** Whether the node has everything of the thing that was marked. */
  isReached({ nodeName, key }: Place): boolean {
    return this.#lines.get(nodeName)?.isPending(key) !== true;
  }

  /** Why the node does not take the thing; undefined if it has it, or was not asked yet. */
  refusal({ nodeName, key }: Place): string | undefined {
    return this.#lines.get(nodeName)?.refusal(key);
  }

  /**
   * Resolves when the nodes have everything that was marked before this call, as far as they answer and take it,
   * and at the latest after `withinMs`.
   */
  async reached(places: readonly Place[], withinMs: number, signal: AbortSignal): Promise<void> {
    const waits = places.flatMap(({ nodeName, key }) => {
      const line = this.#lines.get(nodeName);
      if (line?.isPending(key) !== true || line.hasFailed) return [];
      return this.#options.isReachable(nodeName) ? [line.tried(key)] : [];
    });
    if (waits.length === 0) return;
    const over = new AbortController();
    const limit = AbortSignal.any([signal, over.signal]);
    await Promise.race([Promise.all(waits), pause(this.#options.clock, withinMs, limit)]);
    over.abort();
  }

  /** Resolves when nothing is being sent: each node has what is due there, is silent, or has failed to take it. */
  async atRest(): Promise<void> {
    for (;;) {
      const busy = [...this.#lines.values()].find((line) => line.isBusy);
      if (busy === undefined) return;
      await busy.rested();
    }
  }

  #lineOf(nodeName: string): Line {
    const line = this.#lines.get(nodeName) ?? new Line();
    this.#lines.set(nodeName, line);
    return line;
  }

  #run(nodeName: string, line: Line): void {
    if (line.isRunning || this.#options.shutdown.aborted) return;
    line.isRunning = true;
    // It goes on long after the call that has marked something.
    void withoutLogFields(() => this.#pushAll(nodeName, line)).finally(() => {
      line.isRunning = false;
      line.rest();
    });
  }

  /** Until nothing is due, or the node is silent. Never rejects. */
  async #pushAll(nodeName: string, line: Line): Promise<void> {
    const { shutdown, isReachable, clock, random } = this.#options;
    let failures = 0;
    // Whoever marks several things in one go has marked all of them before the first push.
    await Promise.resolve();
    while (!shutdown.aborted && isReachable(nodeName)) {
      const gatherMs = line.gatherMs(clock);
      if (gatherMs !== undefined) await line.gather(clock, gatherMs, shutdown);
      const batch = line.take(KEYS_MAX);
      if (batch.size === 0 && !line.hasRefused) return;
      if (batch.size === 0) {
        if (!(await line.woken(clock, REFUSED_AGAIN_MS, shutdown))) line.retryRefused();
        continue;
      }
      const beganMs = clock.monotonicMs();
      failures = (await this.#pushOnce(nodeName, line, batch)) ? 0 : failures + 1;
      const endedMs = clock.monotonicMs();
      line.gathersUntilMs = endedMs + Math.min(GATHER.maxMs, GATHER.factor * (endedMs - beganMs));
      if (failures > 0) await line.woken(clock, backoffMs(BACKOFF, failures, random), shutdown);
    }
  }

  async #pushOnce(
    nodeName: string,
    line: Line,
    batch: ReadonlyMap<string, number>,
  ): Promise<boolean> {
    const { push, clock, log, shutdown, what } = this.#options;
    const onLate = () => new N0Error("unavailable", `node "${nodeName}" does not answer in time`);
    using late = abortAfter(clock, PUSH_TIMEOUT_MS, onLate);
    const signal = AbortSignal.any([shutdown, late.signal]);
    try {
      const refusals = await push(nodeName, [...batch.keys()], signal);
      for (const [key, reason] of refusals) {
        if (line.refusal(key) === reason) continue;
        log.warn(`a node does not take its ${what}`, { nodeName, key, reason });
      }
      line.took(batch, refusals);
      return true;
    } catch (error) {
      if (!shutdown.aborted) log.debug(`cannot send ${what} to a node`, { nodeName, error });
      line.failed(batch);
      return false;
    }
  }
}
