import { describe, expect, onTestFinished, test } from "vitest";
import { fc } from "../../test/properties.ts";
import type { Held, Locks } from "./locks.ts";

export interface LocksUnderTest {
  /** Two sessions of one cloud. */
  readonly first: Locks;
  readonly second: Locks;
  close(): Promise<void>;
}

export interface LocksSuiteOptions {
  readonly name: string;
  /** The sessions are named `one` and `two`. */
  open(waitersMax?: number): Promise<LocksUnderTest>;
}

const never = new AbortController().signal;
const waits = (action: string, waitUntil = never) => ({ action, waitUntil });

/** What every implementation of `Locks` must do. */
export function locksSuite({ name, open }: LocksSuiteOptions): void {
  const opened = async (waitersMax?: number) => {
    const locks = await open(waitersMax);
    onTestFinished(() => locks.close());
    return locks;
  };

  describe(name, () => {
    test("a held key is refused at once in every session, naming it and what its holder does", async () => {
      const { first, second } = await opened();
      await first.acquire(["vm/w%C3%A9b"], { action: "DeleteVirtualMachine" });
      for (const locks of [first, second]) {
        await expect(locks.acquire(["vm/w%C3%A9b"], { action: "Boot" })).rejects.toThrow(
          expect.objectContaining({
            kind: "aborted",
            message: "vm/wéb is busy with DeleteVirtualMachine: try again",
            facts: { resource: "vm/wéb", retryAfterMs: expect.any(Number) },
          }),
        );
      }
    });

    test("all keys are taken, or none", async () => {
      const { first, second } = await opened();
      const held = await first.acquire(["b"], { action: "one" });
      const both = second.acquire(["a", "b", "c"], { action: "two" });
      await expect(both).rejects.toThrow("b is busy with one");
      expect((await second.list()).map(({ key }) => key)).toEqual(["b"]);
      await held.release();
      const all = await second.acquire(["c", "a", "b", "a"], { action: "two" });
      expect(all.keys).toEqual(["a", "b", "c"]);
      await all.release();
      expect(await first.list()).toEqual([]);
    });

    test("of two sessions that ask at once for the same keys one has them all", async () => {
      const { first, second } = await opened();
      const asked = await Promise.allSettled([
        first.acquire(["a", "b"], { action: "one" }),
        second.acquire(["b", "a"], { action: "two" }),
      ]);
      expect(asked.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    });

    test("no keys are held by nobody", async () => {
      const { first } = await opened();
      await (await first.acquire([], { action: "nothing" })).release();
      expect(await first.list()).toEqual([]);
    });

    test("a holder is known by session, transaction and action", async () => {
      const { first, second } = await opened();
      await first.acquire(["b"], { action: "Boot", transactionId: "tx-1" });
      await second.acquire(["a"], { action: "look" });
      expect(await second.list()).toEqual([
        { key: "a", holder: { session: "two", action: "look" } },
        { key: "b", holder: { session: "one", action: "Boot", transactionId: "tx-1" } },
      ]);
      expect(await second.holderOf("b")).toMatchObject({ transactionId: "tx-1" });
      expect(await second.holderOf("c")).toBeUndefined();
    });

    test("releasing twice does not release what the next holder has", async () => {
      const { first, second } = await opened();
      const held = await first.acquire(["a"], { action: "first" });
      const waiting = second.acquire(["a"], waits("second"));
      await held.release();
      const next = await waiting;
      await held.release();
      await held[Symbol.asyncDispose]();
      await expect(first.acquire(["a"], { action: "third" })).rejects.toThrow("busy with second");
      await next.release();
      expect(await first.list()).toEqual([]);
    });

    test("those who wait get the key in the order of their asking, whichever session they are of", async () => {
      const { first, second } = await opened();
      const order: number[] = [];
      const held = await first.acquire(["a"], { action: "first" });
      const others = [];
      for (const number of [1, 2, 3, 4]) {
        const inLine = Promise.withResolvers<void>();
        const onWait = (key: string | undefined) => {
          if (key === "a") inLine.resolve();
        };
        const locks = number % 2 === 0 ? first : second;
        const waited = locks.acquire(["a"], { ...waits(`wait ${number}`), onWait });
        others.push(
          waited.then(async (own) => {
            order.push(number);
            await own.release();
          }),
        );
        await inLine.promise;
      }
      await held.release();
      await Promise.all(others);
      expect(order).toEqual([1, 2, 3, 4]);
      expect(await first.list()).toEqual([]);
    });

    test("who gives up waiting is told what it waited for, keeps nothing, and is not in the way", async () => {
      const { first, second } = await opened();
      const holder = await first.acquire(["b"], { action: "holder" });
      const patience = new AbortController();
      const gaveUp = second.acquire(["a", "b", "c"], waits("impatient", patience.signal));
      const patient = first.acquire(["a", "b"], waits("patient"));
      patience.abort();
      await expect(gaveUp).rejects.toThrow("b is busy with holder");
      await holder.release();
      await (await patient).release();
      expect(await first.list()).toEqual([]);
    });

    test("as many as are told may wait for a key, the next is refused as if it did not wait", async () => {
      const { first, second } = await opened(3);
      const held = await first.acquire(["a"], { action: "first" });
      const waiting = Array.from({ length: 3 }, () => second.acquire(["a"], waits("next")));
      const more = second.acquire(["a"], waits("one too many"));
      await expect(more).rejects.toThrow(
        expect.objectContaining({ kind: "aborted", message: "a is busy with first: try again" }),
      );
      await (await second.acquire(["b"], waits("another key"))).release();
      await held.release();
      for (const next of waiting) await (await next).release();
      expect(await first.list()).toEqual([]);
    });

    test("a wait whose time is over before it begins is refused if the key is held, else granted", async () => {
      const { first, second } = await opened();
      const over = AbortSignal.abort();
      await (await first.acquire(["a"], waits("free", over))).release();
      const holder = await first.acquire(["a"], { action: "holder" });
      const late = second.acquire(["a"], waits("late", over));
      await expect(late).rejects.toThrow("busy with holder");
      await holder.release();
      expect(await first.list()).toEqual([]);
    });

    test("a key that is granted as its waiter gives up is not lost", async () => {
      const { first, second } = await opened();
      const holder = await first.acquire(["a"], { action: "holder" });
      const patience = new AbortController();
      const waiting = second.acquire(["a"], waits("waiter", patience.signal));
      const released = holder.release();
      patience.abort();
      const held = await waiting.catch(() => undefined);
      await Promise.all([released, held?.release()]);
      expect(await first.list()).toEqual([]);
    });

    test("a refusal names the one who has been granted the key, not the first holder", async () => {
      const { first, second } = await opened();
      const holder = await first.acquire(["a"], { action: "first" });
      const next = second.acquire(["a"], waits("second"));
      await holder.release();
      await next;
      await expect(first.acquire(["a"], { action: "third" })).rejects.toThrow("busy with second");
    });

    test("each holder of a key has a larger fencing token than the one before", async () => {
      const { first, second } = await opened();
      const before = await first.acquire(["a", "b"], { action: "first" });
      const waiting = second.acquire(["b", "c"], waits("second"));
      await before.release();
      const between = await waiting;
      expect(between.fencing).toBeGreaterThan(before.fencing);
      await between.release();
      const after = await first.acquire(["a", "b", "c"], { action: "third" });
      expect(after.fencing).toBeGreaterThan(between.fencing);
    });

    test("an ended session's keys go to another of the same transaction alone, and its late release frees nothing", async () => {
      const { first, second } = await opened();
      const tx = { action: "Create", transactionId: "tx-1" };
      const dead = await first.acquire(["a", "b"], tx);
      const takesOverFrom = (session: string) => session === "one";
      await expect(second.acquire(["a"], tx)).rejects.toThrow("busy with Create");
      await expect(
        second.acquire(["a"], { action: "Delete", transactionId: "tx-2", takesOverFrom }),
      ).rejects.toThrow("busy with Create");
      await expect(
        second.acquire(["a"], { ...tx, takesOverFrom: (session) => session === "two" }),
      ).rejects.toThrow("busy with Create");
      const waiting = first.acquire(["b"], waits("next"));
      const own = await second.acquire(["a", "b", "c"], { ...tx, takesOverFrom });
      expect(own.fencing).toBeGreaterThan(dead.fencing);
      await dead.release();
      expect((await second.list()).map(({ holder }) => holder.session)).toEqual([
        ...["two", "two", "two"],
      ]);
      await own.release();
      await (await waiting).release();
      expect(await second.list()).toEqual([]);
    });

    test("what an ended session holds and waits for is released, and nothing of another's", async () => {
      const { first, second } = await opened();
      await first.acquire(["a"], { action: "dead" });
      const own = await second.acquire(["b"], { action: "alive" });
      const inVain = expect(first.acquire(["b"], waits("dead"))).rejects.toThrow("b is busy");
      const waiting = second.acquire(["a"], waits("alive"));
      await second.releaseAll("one");
      await inVain;
      await (await waiting).release();
      await own.release();
      expect(await second.list()).toEqual([]);
    });

    test("whatever is asked for, nobody waits for ever, no key has two holders, and none stays held", async () => {
      const request = fc.record({
        keys: fc.array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 4 }),
        isSecond: fc.boolean(),
        waits: fc.boolean(),
        givesUp: fc.boolean(),
        turns: fc.nat(3),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(request, { maxLength: 12 }), async (requests) => {
          const { first, second, close } = await open();
          const holders = new Map<string, number>();
          const newest = new Map<string, number>();
          const use = async (held: Held, i: number, turns: number) => {
            for (const key of held.keys) {
              expect(holders.has(key)).toBe(false);
              holders.set(key, i);
              expect(held.fencing).toBeGreaterThan(newest.get(key) ?? 0);
              newest.set(key, held.fencing);
            }
            for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate);
            for (const key of held.keys) holders.delete(key);
            await held.release();
          };
          const run = async (i: number): Promise<void> => {
            const { keys, turns, givesUp, isSecond, ...how } = requests[i]!;
            const patience = new AbortController();
            const locks = isSecond ? second : first;
            const options = how.waits ? waits(`${i}`, patience.signal) : { action: `${i}` };
            const asked = locks.acquire(keys, options);
            if (givesUp) queueMicrotask(() => patience.abort());
            const held = await asked.catch(() => undefined);
            if (held !== undefined) await use(held, i, turns);
          };
          await Promise.all(requests.map((_, i) => run(i)));
          expect(await first.list()).toEqual([]);
          await close();
        }),
        { numRuns: 200 },
      );
    });
  });
}
