import { expect, test } from "vitest";
import { fc } from "../../test/properties.ts";
import { systemClock } from "../util/clock.ts";
import { silentLog } from "../util/log.ts";
import { newKeyedQueue } from "./keyed-queue.ts";

/**
 * Any interleaving of arrivals and ends. What must hold of each key, whatever the order:
 * one at a time; first come, first served; nothing older than the newest seen ever starts; what runs is
 * told to stop if and only if something newer came; and the last to run is the newest that came.
 */
interface Request {
  readonly key: string;
  readonly generation: bigint;
  readonly stubborn: boolean;
}

type Event =
  | ({ readonly kind: "arrives" } & Request)
  | { readonly kind: "ends"; readonly pick: number };

const arrives = fc.record({
  kind: fc.constant("arrives" as const),
  key: fc.constantFrom("a", "b"),
  generation: fc.bigInt({ min: 0n, max: 4n }),
  stubborn: fc.boolean(),
});
const ends = fc.record({ kind: fc.constant("ends" as const), pick: fc.nat({ max: 7 }) });
const events = fc.array(fc.oneof(arrives, ends), { maxLength: 40 });

test("any interleaving of arrivals and ends keeps the order of generations", async () => {
  await fc.assert(fc.asyncProperty(events, playAndCheck), { numRuns: 300 });
});

interface Running extends Request {
  readonly at: number;
  readonly signal: AbortSignal;
  readonly end: () => void;
}

class Play {
  readonly queue = newKeyedQueue({
    signal: new AbortController().signal,
    clock: systemClock,
    log: silentLog,
  });
  readonly running: Running[] = [];
  readonly started: { key: string; at: number; generation: bigint }[] = [];
  readonly newest = new Map<string, bigint>();
  readonly results: Promise<{ request: Request; refusedAtOnce: boolean; ok: boolean }>[] = [];

  arrive(request: Request, at: number): void {
    const before = this.newest.get(request.key) ?? -1n;
    const refusedAtOnce = request.generation < before;
    if (!refusedAtOnce) this.newest.set(request.key, request.generation);
    const { key, generation } = request;
    const result = this.queue.run(key, generation, (signal) => this.work(request, at, signal));
    this.results.push(
      result.then(
        () => ({ request, refusedAtOnce, ok: true }),
        (reason: unknown) => {
          expect(reason).toMatchObject({ kind: "aborted" });
          return { request, refusedAtOnce, ok: false };
        },
      ),
    );
  }

  work(request: Request, at: number, signal: AbortSignal): Promise<void> {
    const { key, generation } = request;
    expect(this.running.filter((other) => other.key === key)).toEqual([]);
    expect(generation).toBe(this.newest.get(key));
    this.started.push({ key, at, generation });
    return new Promise((resolve, reject) => {
      const end = () => {
        // It may be told to stop in the moment between its end and its leaving the queue.
        if (!this.running.includes(running)) return;
        this.running.splice(this.running.indexOf(running), 1);
        if (signal.aborted) reject(signal.reason);
        else resolve();
      };
      const running = { ...request, at, signal, end };
      this.running.push(running);
      if (!request.stubborn) signal.addEventListener("abort", end);
    });
  }

  check(): void {
    for (const { key, generation, signal } of this.running) {
      expect(signal.aborted).toBe(generation < this.newest.get(key)!);
    }
  }
}

async function playAndCheck(script: readonly Event[]): Promise<void> {
  const play = new Play();
  for (const [at, event] of script.entries()) {
    if (event.kind === "arrives") play.arrive(event, at);
    else play.running[event.pick % Math.max(1, play.running.length)]?.end();
    play.check();
    // Sometimes things arrive in one go, sometimes what they cause comes in between.
    if (at % 3 !== 0) await new Promise(setImmediate);
    play.check();
  }
  while (play.queue.busyKeys > 0) {
    for (const running of [...play.running]) running.end();
    await new Promise(setImmediate);
  }
  const results = await Promise.all(play.results);
  for (const { refusedAtOnce, ok } of results) if (refusedAtOnce) expect(ok).toBe(false);
  for (const [key, newest] of play.newest) {
    const started = play.started.filter((work) => work.key === key);
    expect(started.map((work) => work.at)).toEqual(
      started.map((work) => work.at).toSorted((a, b) => a - b),
    );
    expect(started.at(-1)?.generation).toBe(newest);
  }
}
