import type { Clock } from "../../src/util/clock.ts";
import { hashOf } from "./dice.ts";

/** A process that can die or stand still: the API, an agent. */
export class Process {
  readonly name: string;
  isAlive = true;
  /** The events that it missed while it stood still. */
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

  /** From now on its code has no effect: every port checks this. */
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
 * Virtual time: the future events, in order. Between two events, everything that can go on without another one
 * has gone on, because every wait is a wait for an event.
 */
export class Timeline {
  nowMs = 0;
  /** The error of the wall clocks. */
  wallOffsetMs = 0;
  #count = 0;
  #hash = 0;
  #events = 0;
  readonly #heap: Event[] = [];
  readonly #lines: string[] = [];
  /** Set it to see each line of the trace at once. */
  onLine: ((line: string) => void) | undefined;

  /** The number of events so far. */
  get eventCount(): number {
    return this.#events;
  }

  /** A number that two runs share only if the same events happened in both, in the same order. */
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
   * Calls `fire` after `ms`, unless `of` has died, or later if it stands still then.
   *
   * @returns a function that cancels it.
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

  /** Lets the missed events happen, in order. */
  thaw(process: Process): void {
    const missed = process.frozen ?? [];
    process.frozen = undefined;
    for (const event of missed) {
      // The caller may still cancel it.
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

  /** Lets time pass until `isDone`, which is called after each event; false after `limitMs`. */
  run(isDone: () => boolean, limitMs: number): Promise<boolean> {
    const endMs = this.nowMs + limitMs;
    return new Promise((resolve, reject) => {
      const turn = () => {
        try {
          if (isDone()) return resolve(true);
          if (!this.#step(endMs)) return resolve(isDone());
          // By the next turn of the event loop, everything that follows from it without a wait has happened.
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
