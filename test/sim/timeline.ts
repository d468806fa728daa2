import type { Clock } from "../../src/util/clock.ts";
import { hashOf } from "./dice.ts";

/** Something that runs and can die or stand still: the API, an agent. */
export class Process {
  readonly name: string;
  isAlive = true;
  /** What would have happened to it while it stands still. */
  frozen: Event[] | undefined;
  readonly #onDeath = new Set<() => void>();

  constructor(name: string) {
    this.name = name;
  }

  /** @returns a function that forgets it. */
  onDeath(listener: () => void): () => void {
    this.#onDeath.add(listener);
    return () => this.#onDeath.delete(listener);
  }

  /** From here nothing that its code still does has an effect: every port asks. */
  kill(): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    this.frozen = undefined;
    for (const listener of [...this.#onDeath]) listener();
    this.#onDeath.clear();
  }
}

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly of: Process | undefined;
  readonly fire: () => void;
  isCancelled: boolean;
}

const START_MS = 1_700_000_000_000;
const LINES_KEPT = 400;

/**
 * Virtual time: what is to happen, in order. Between two happenings everything that can go on without one
 * has gone on, for all that waits, waits for a happening.
 */
export class Timeline {
  nowMs = 0;
  /** How much the wall clocks are off. */
  wallOffsetMs = 0;
  #count = 0;
  #hash = 0;
  #events = 0;
  readonly #heap: Event[] = [];
  readonly #lines: string[] = [];
  /** Set to see each line of the trace as it comes. */
  onLine: ((line: string) => void) | undefined;

  /** How many things have happened. */
  get eventCount(): number {
    return this.#events;
  }

  /** A number that two runs share only if the same happened in both, in the same order. */
  get traceHash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, "0");
  }

  get lastLines(): readonly string[] {
    return this.#lines;
  }

  note(text: string): void {
    const line = `${this.nowMs.toFixed(3)} ${text}`;
    this.#hash = hashOf(line, this.#hash);
    this.#lines.push(line);
    if (this.#lines.length > LINES_KEPT * 2) this.#lines.splice(0, LINES_KEPT);
    this.onLine?.(line);
  }

  /**
   * Calls `fire` after `ms`, unless `of` has died; later if it stands still then.
   *
   * @returns a function that calls it off.
   */
  after(ms: number, of: Process | undefined, fire: () => void): () => void {
    const atMs = this.nowMs + Math.max(0, ms);
    const event = { atMs, order: this.#count++, of, fire, isCancelled: false };
    this.#push(event);
    return () => {
      event.isCancelled = true;
    };
  }

  freeze(process: Process): void {
    process.frozen ??= [];
  }

  /** Lets what it has missed happen, in order. */
  thaw(process: Process): void {
    const missed = process.frozen ?? [];
    process.frozen = undefined;
    for (const event of missed) {
      // It may still be called off, by whoever had asked for it.
      this.after(0, process, () => {
        if (!event.isCancelled) event.fire();
      });
    }
  }

  clockOf(process: Process): Clock {
    return {
      nowMs: () => START_MS + Math.floor(this.nowMs + this.wallOffsetMs),
      monotonicMs: () => this.nowMs,
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          signal?.throwIfAborted();
          const onAbort = () => {
            cancel();
            reject(signal?.reason);
          };
          const cancel = this.after(ms, process, () => {
            signal?.removeEventListener("abort", onAbort);
            resolve();
          });
          signal?.addEventListener("abort", onAbort, { once: true });
        }),
    };
  }

  /** Lets time pass until `isDone`, which is asked after each happening; false after `limitMs` without. */
  run(isDone: () => boolean, limitMs: number): Promise<boolean> {
    const endMs = this.nowMs + limitMs;
    return new Promise((resolve, reject) => {
      const turn = () => {
        try {
          if (isDone()) return resolve(true);
          if (!this.#step(endMs)) return resolve(isDone());
          // By the next turn of the loop all that follows from it without waiting has followed.
          setImmediate(turn);
        } catch (reason) {
          reject(reason);
        }
      };
      setImmediate(turn);
    });
  }

  #step(endMs: number): boolean {
    for (;;) {
      const event = this.#heap[0];
      if (event === undefined || event.atMs > endMs) {
        this.nowMs = endMs;
        return false;
      }
      this.#pop();
      if (event.isCancelled || event.of?.isAlive === false) continue;
      this.nowMs = event.atMs;
      if (event.of?.frozen !== undefined) {
        event.of.frozen.push(event);
        continue;
      }
      this.#events += 1;
      event.fire();
      return true;
    }
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let i = heap.length;
    heap.push(event);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs === b.atMs ? a.order < b.order : a.atMs < b.atMs;
}
