import { type Clock, pause } from "../../../util/clock.ts";

/** Marks are numbered, so that those that come while the node is asked are told apart. */
interface Thing {
  newestMark: number;
  refusal: string | undefined;
  /** Resolves when the node has all marks, or has not taken them at the last try. */
  tried: PromiseWithResolvers<void> | undefined;
}

/** What one node does not have yet. */
export class Line {
  isRunning = false;
  /** On the monotonic clock. Until then, a push that nobody waits for gathers marks. */
  gathersUntilMs = 0;
  /** Whether the last push has failed as a whole. */
  hasFailed = false;
  readonly #things = new Map<string, Thing>();
  readonly #due = new Set<string>();
  #marks = 0;
  #isSending = false;
  #isPausing = false;
  #wakeUp = new AbortController();
  #awaited = new AbortController();
  #rested = Promise.withResolvers<void>();

  get isEmpty(): boolean {
    return this.#things.size === 0 && !this.isRunning;
  }

  /** Whether something is being sent, or is about to be. */
  get isBusy(): boolean {
    const isWaiting = this.#isPausing && this.hasFailed;
    return this.isRunning && (this.#isSending || (this.#due.size > 0 && !isWaiting));
  }

  get hasRefused(): boolean {
    return this.#things.values().some(({ refusal }) => refusal !== undefined);
  }

  get pending(): number {
    return this.#things.size;
  }

  isPending(key: string): boolean {
    return this.#things.has(key);
  }

  refusal(key: string): string | undefined {
    return this.#things.get(key)?.refusal;
  }

  mark(key: string): void {
    const thing = this.#things.get(key) ?? {
      newestMark: 0,
      refusal: undefined,
      tried: undefined,
    };
    this.#things.set(key, thing);
    thing.newestMark = ++this.#marks;
    this.#due.add(key);
    // A node that fails is not asked more often because more happens.
    if (!this.hasFailed) this.#wakeUp.abort();
  }

  drop(key: string): void {
    this.#things.get(key)?.tried?.resolve();
    this.#things.delete(key);
    this.#due.delete(key);
  }

  wake(): void {
    this.hasFailed = false;
    this.retryRefused();
    this.#wakeUp.abort();
  }

  retryRefused(): void {
    for (const [key, { refusal }] of this.#things) if (refusal !== undefined) this.#due.add(key);
  }

  /** The next keys to send, each with its newest mark. */
  take(max: number): ReadonlyMap<string, number> {
    const batch = new Map<string, number>();
    for (const key of this.#due) {
      if (batch.size === max) break;
      batch.set(key, this.#things.get(key)!.newestMark);
      this.#due.delete(key);
    }
    this.#isSending = batch.size > 0;
    return batch;
  }

  took(batch: ReadonlyMap<string, number>, refusals: ReadonlyMap<string, string>): void {
    this.#isSending = false;
    this.hasFailed = false;
    for (const [key, mark] of batch) {
      const thing = this.#things.get(key);
      if (thing === undefined) continue;
      thing.refusal = refusals.get(key);
      if (thing.newestMark !== mark) continue;
      this.#haveTried(thing);
      if (thing.refusal === undefined) this.#things.delete(key);
    }
  }

  failed(batch: ReadonlyMap<string, number>): void {
    this.#isSending = false;
    this.hasFailed = true;
    for (const key of batch.keys()) if (this.#things.has(key)) this.#due.add(key);
    for (const thing of this.#things.values()) this.#haveTried(thing);
  }

  async tried(key: string): Promise<void> {
    const thing = this.#things.get(key);
    if (thing === undefined) return;
    thing.tried ??= Promise.withResolvers();
    this.#awaited.abort();
    await thing.tried.promise;
  }

  /** Waits, and at most until something wakes it. @returns whether something did. */
  async woken(clock: Clock, ms: number, shutdown: AbortSignal): Promise<boolean> {
    this.#wakeUp = new AbortController();
    this.#isPausing = true;
    this.rest();
    try {
      return !(await pause(clock, ms, AbortSignal.any([shutdown, this.#wakeUp.signal])));
    } finally {
      this.#isPausing = false;
    }
  }

  /** How long to gather marks; undefined: not at all. */
  gatherMs(clock: Clock): number | undefined {
    const ms = this.gathersUntilMs - clock.monotonicMs();
    const isAwaited = [...this.#due].some((key) => this.#things.get(key)?.tried !== undefined);
    return ms <= 0 || this.#due.size === 0 || isAwaited ? undefined : ms;
  }

  /** Ends early when somebody waits for something. */
  async gather(clock: Clock, ms: number, shutdown: AbortSignal): Promise<void> {
    this.#awaited = new AbortController();
    await pause(clock, ms, AbortSignal.any([shutdown, this.#awaited.signal]));
  }

  /** Lets those look again who wait for `rested`. */
  rest(): void {
    this.#rested.resolve();
    this.#rested = Promise.withResolvers();
  }

  rested(): Promise<void> {
    return this.#rested.promise;
  }

  #haveTried(thing: Thing): void {
    thing.tried?.resolve();
    thing.tried = undefined;
  }
}
