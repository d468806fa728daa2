import type { Datastore, Writes } from "../../src/datastore/datastore.ts";
import { N0Error } from "../../src/util/errors.ts";
import type { Dice } from "./dice.ts";
import { type Delivery, deliveryNow, never } from "./network.ts";
import type { Process, Timeline } from "./timeline.ts";

/** What the disk under the datastore does, while it lasts. */
export type DiskTrouble = "busy" | "full" | "slow";

export interface Batch {
  readonly writes: Writes;
  readonly revision: number;
  /** The delivery that asked for it; undefined for recovery and other work of the process itself. */
  readonly delivery: Delivery | undefined;
}

export interface SimulatedDatastoreOptions {
  /** The durable records: they outlive the process. */
  readonly durable: Datastore;
  readonly process: Process;
  readonly timeline: Timeline;
  readonly dice: Dice;
  readonly trouble: () => DiskTrouble | undefined;
  /** Called before each call does anything: the process may die here. */
  readonly onPort: () => void;
  /** Called when a batch is durable, before anybody sees it. */
  readonly onBatch: (batch: Batch) => void;
}

interface Waiting {
  readonly writes: Writes;
  readonly delivery: Delivery | undefined;
  resolve(revision: number): void;
  reject(reason: unknown): void;
}

const GROUP_MAX = 256;

/**
 * One process's view of a datastore. Requests at the same time share one flush of the disk, which takes time. A
 * write that was not flushed is lost when the process dies. A dead process changes nothing and sees nothing.
 */
export function simulatedDatastore(options: SimulatedDatastoreOptions): Datastore {
  const { durable, process, timeline, dice, trouble, onPort, onBatch } = options;
  const stops = new Set<() => void>();
  let waiting: Waiting[] = [];
  let isScheduled = false;
  process.onDeath(() => {
    for (const stop of stops) stop();
    // A running flush may have succeeded as a whole, although nobody gets its answer.
    if (isScheduled && trouble() === undefined && dice.chance(0.3)) {
      flush(waiting.slice(0, GROUP_MAX));
    }
  });

  const flushMs = () =>
    trouble() === "slow" ? dice.between(50, 2_000) : dice.between(0.1, dice.chance(0.05) ? 20 : 2);

  function schedule(): void {
    if (isScheduled || waiting.length === 0) return;
    isScheduled = true;
    timeline.after(flushMs(), process, () => {
      const group = waiting.slice(0, GROUP_MAX);
      waiting = waiting.slice(GROUP_MAX);
      isScheduled = false;
      schedule();
      flush(group);
    });
  }

  function flush(group: readonly Waiting[]): void {
    const wrong = trouble();
    if (wrong === "full" || wrong === "busy") {
      const message = `the datastore's disk is ${wrong}`;
      for (const waiter of group) {
        waiter.reject(new N0Error("unavailable", message, { retryAfterMs: 1_000 }));
      }
      return;
    }
    for (const { writes, delivery, resolve, reject } of group) {
      durable.batch(writes).then(
        (revision) => {
          onBatch({ writes, revision, delivery });
          if (process.isAlive) resolve(revision);
        },
        (reason: unknown) => {
          if (process.isAlive) reject(reason);
        },
      );
    }
  }

  /** Most reads come from memory and take no time. Some let other work go first. */
  async function read<T>(work: () => Promise<T>): Promise<T> {
    if (!process.isAlive) return await never();
    if (dice.chance(0.1)) await pause();
    const result = await work();
    if (dice.chance(0.05)) await pause();
    return process.isAlive ? result : await never();
  }

  function pause(): Promise<void> {
    return new Promise((resolve) => {
      timeline.after(dice.between(0.01, 2), process, resolve);
    });
  }

  return {
    get: (key) => read(() => durable.get(key)),
    list: (prefix, page) => read(() => durable.list(prefix, page)),
    snapshot: (prefix) => read(() => durable.snapshot(prefix)),
    revision: () => read(() => durable.revision()),
    batch(writes) {
      if (process.isAlive) onPort();
      if (!process.isAlive) return never();
      return new Promise((resolve, reject) => {
        waiting.push({ writes, delivery: deliveryNow(), resolve, reject });
        schedule();
      });
    },
    checkRoom: () => durable.checkRoom(),
    watch(prefix, fromRevision, listener) {
      if (!process.isAlive) return () => {};
      const stop = durable.watch(prefix, fromRevision, listener);
      stops.add(stop);
      return () => {
        stops.delete(stop);
        stop();
      };
    },
    seen: (revision) => (process.isAlive ? durable.seen(revision) : never()),
    async [Symbol.asyncDispose]() {
      for (const stop of stops) stop();
    },
  };
}
