import type { Clock } from "../src/util/clock.ts";

export interface FakeClock extends Clock {
  /** The number of sleepers. */
  readonly sleepers: number;
  /** Lets `ms` pass: wakes each sleeper at its time, and lets it work. */
  advance(ms: number): Promise<void>;
}

interface Sleeper {
  readonly untilMs: number;
  readonly wake: () => void;
}

/** Time that stands still until a test lets it pass. */
export function newFakeClock(startMs = 1_700_000_000_000): FakeClock {
  const sleepers = new Set<Sleeper>();
  let passedMs = 0;

  function nextDue(untilMs: number): Sleeper | undefined {
    const due = [...sleepers].filter((sleeper) => sleeper.untilMs <= untilMs);
    return due.toSorted((a, b) => a.untilMs - b.untilMs)[0];
  }

  return {
    nowMs: () => startMs + passedMs,
    monotonicMs: () => passedMs,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        signal?.throwIfAborted();
        const leave = () => {
          sleepers.delete(sleeper);
          signal?.removeEventListener("abort", onAbort);
        };
        const onAbort = () => {
          leave();
          reject(signal?.reason);
        };
        const wake = () => {
          leave();
          resolve();
        };
        const sleeper = { untilMs: passedMs + ms, wake };
        sleepers.add(sleeper);
        signal?.addEventListener("abort", onAbort, { once: true });
      }),
    get sleepers() {
      return sleepers.size;
    },
    async advance(ms) {
      const endMs = passedMs + ms;
      for (;;) {
        await settle();
        const sleeper = nextDue(endMs);
        if (sleeper === undefined) break;
        passedMs = Math.max(passedMs, sleeper.untilMs);
        sleeper.wake();
      }
      passedMs = endMs;
      await settle();
    },
  };
}

/**
 * Lets everything go on that can without time passing. In-process RPC takes several turns of the event loop.
 */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
}
