import type { Clock } from "../util/clock.ts";
import type { Random } from "../util/random.ts";
import type { Datastore } from "./datastore.ts";
import { type Delivery, Watchers } from "./watchers.ts";

export interface LateDeliveryOptions {
  readonly clock: Pick<Clock, "sleep">;
  readonly random: Pick<Random, "fraction">;
  readonly delayMsMax: number;
}

/**
 * The same records, but the listeners get changes late, as from a datastore with several processes: some
 * time after the batch has resolved for its writer, in order, and often several batches at once. For tests
 * and for the simulation.
 */
export async function lateDelivery(
  of: Datastore,
  { clock, random, delayMsMax }: LateDeliveryOptions,
): Promise<Datastore> {
  const fromRevision = await of.revision();
  const watchers = new Watchers(fromRevision);
  const stop = new AbortController();
  let waiting: Delivery[] = [];
  let wake = Promise.withResolvers<void>();
  const end = of.watch("", fromRevision, (changes, revision) => {
    waiting.push({ changes, revision });
    if (waiting.length === 1) void deliver();
  });

  /** Everything that waits by then. */
  async function deliver(): Promise<void> {
    // Squared, because most real delays are short.
    await clock.sleep(random.fraction() ** 2 * delayMsMax, stop.signal).catch(() => undefined);
    if (stop.signal.aborted) return;
    const due = waiting;
    waiting = [];
    for (const delivery of due) watchers.notify(delivery);
    wakeAll();
  }

  function wakeAll(): void {
    wake.resolve();
    wake = Promise.withResolvers<void>();
  }

  return {
    get: (key) => of.get(key),
    list: (prefix, page) => of.list(prefix, page),
    snapshot: (prefix) => of.snapshot(prefix),
    revision: () => of.revision(),
    batch: (writes) => of.batch(writes),
    checkRoom: () => of.checkRoom(),
    watch: (prefix, from, listener) => watchers.add(prefix, from, listener),

    async seen(revision) {
      await of.seen(revision);
      const [first] = waiting;
      if (first !== undefined && first.revision <= revision && !stop.signal.aborted) {
        await wake.promise;
      }
    },

    async [Symbol.asyncDispose]() {
      stop.abort();
      end();
      wakeAll();
      await of[Symbol.asyncDispose]();
    },
  };
}
