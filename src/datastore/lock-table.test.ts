import { expect, test } from "vitest";
import { fc } from "../../test/properties.ts";
import { jsonCollection } from "./collection.ts";
import { LockTable } from "./lock-table.ts";
import { memoryDatastore } from "./memory/memory-datastore.ts";

const vms = jsonCollection<{ n: number }>("vm");
const waits = (action: string, signal = new AbortController().signal) => ({
  action,
  waitUntil: signal,
});

test("a held key is refused at once, naming it and what its holder does", async () => {
  const locks = new LockTable();
  locks.tryAcquire([vms.key("web")], "DeleteVirtualMachine");
  await expect(locks.acquire([vms.key("web")], { action: "BootVirtualMachine" })).rejects.toThrow(
    expect.objectContaining({
      kind: "aborted",
      message: expect.stringMatching(/vm\/web.*DeleteVirtualMachine/),
      facts: { resource: "vm/web", retryAfterMs: expect.any(Number) },
    }),
  );
});

test("all keys are taken, or none", () => {
  const locks = new LockTable();
  const held = locks.tryAcquire(["b"], "first");
  expect(() => locks.tryAcquire(["a", "b", "c"], "second")).toThrow("b is busy with first");
  expect(locks.size).toBe(1);
  held.release();
  const all = locks.tryAcquire(["c", "a", "b", "a"], "second");
  expect(all.keys).toEqual(["a", "b", "c"]);
  all.release();
  expect(locks.size).toBe(0);
});

test("no keys are held by nobody", () => {
  const locks = new LockTable();
  locks.tryAcquire([], "nothing").release();
  expect(locks.size).toBe(0);
});

test("releasing twice does not release what the next holder has", async () => {
  const locks = new LockTable();
  const first = locks.tryAcquire(["a"], "first");
  const waiting = locks.acquire(["a"], waits("second"));
  first.release();
  const second = await waiting;
  first.release();
  first[Symbol.dispose]();
  expect(() => locks.tryAcquire(["a"], "third")).toThrow("busy with second");
  second.release();
  expect(locks.size).toBe(0);
});

test("those who wait get the key in the order of their asking", async () => {
  const locks = new LockTable();
  const order: number[] = [];
  const first = locks.tryAcquire(["a"], "first");
  const others = [1, 2, 3].map(async (number) => {
    using _held = await locks.acquire(["a"], waits(`wait ${number}`));
    order.push(number);
  });
  first.release();
  await Promise.all(others);
  expect(order).toEqual([1, 2, 3]);
  expect(locks.size).toBe(0);
});

test("who gives up waiting is told what it waited for, keeps nothing, and is not in the way", async () => {
  const locks = new LockTable();
  const holder = locks.tryAcquire(["b"], "holder");
  const patience = new AbortController();
  const gaveUp = locks.acquire(["a", "b", "c"], waits("impatient", patience.signal));
  const patient = locks.acquire(["a", "b"], waits("patient"));
  patience.abort();
  await expect(gaveUp).rejects.toThrow("b is busy with holder");
  holder.release();
  (await patient).release();
  expect(locks.size).toBe(0);
});

test("as many as are told may wait for a key, the next is refused as if it did not wait", async () => {
  const locks = new LockTable(3);
  const held = locks.tryAcquire(["a"], "first");
  const waiting = Array.from({ length: 3 }, () => locks.acquire(["a"], waits("next")));
  await expect(locks.acquire(["a"], waits("one too many"))).rejects.toThrow(
    expect.objectContaining({ kind: "aborted", message: "a is busy with first: try again" }),
  );
  (await locks.acquire(["b"], waits("another key"))).release();
  held.release();
  for (const next of waiting) (await next).release();
  expect(locks.size).toBe(0);
});

test("a wait whose time is over before it begins is refused if the key is held, else granted", async () => {
  const locks = new LockTable();
  const over = AbortSignal.abort();
  (await locks.acquire(["a"], waits("free", over))).release();
  const holder = locks.tryAcquire(["a"], "holder");
  await expect(locks.acquire(["a"], waits("late", over))).rejects.toThrow("busy with holder");
  holder.release();
  expect(locks.size).toBe(0);
});

test("a key that is granted as its waiter gives up is not lost", async () => {
  const locks = new LockTable();
  const holder = locks.tryAcquire(["a"], "holder");
  const patience = new AbortController();
  const waiting = locks.acquire(["a"], waits("waiter", patience.signal));
  holder.release();
  patience.abort();
  (await waiting).release();
  expect(locks.size).toBe(0);
});

test("a refusal to who does not wait names the one who has been granted the key, not the first holder", () => {
  const locks = new LockTable();
  const first = locks.tryAcquire(["a"], "first");
  void locks.acquire(["a"], waits("second"));
  first.release();
  expect(() => locks.tryAcquire(["a"], "third")).toThrow("busy with second");
});

test("whatever is asked for, nobody waits for ever, no key has two holders, and none stays held", async () => {
  const request = fc.record({
    keys: fc.array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 4 }),
    waits: fc.boolean(),
    givesUp: fc.boolean(),
    turns: fc.nat(3),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(request, { maxLength: 12 }), async (requests) => {
      const locks = new LockTable();
      const holders = new Map<string, number>();
      const run = async (i: number): Promise<void> => {
        const { keys, turns, givesUp, ...how } = requests[i]!;
        const patience = new AbortController();
        const asked = how.waits
          ? locks.acquire(keys, waits(`${i}`, patience.signal))
          : locks.acquire(keys, { action: `${i}` });
        if (givesUp) queueMicrotask(() => patience.abort());
        const held = await asked.catch(() => undefined);
        if (held === undefined) return;
        for (const key of held.keys) {
          expect(holders.has(key)).toBe(false);
          holders.set(key, i);
        }
        for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate);
        for (const key of held.keys) holders.delete(key);
        held.release();
      };
      await Promise.all(requests.map((_, i) => run(i)));
      expect(locks.size).toBe(0);
    }),
    { numRuns: 200 },
  );
});

test("an object is written through the handle that holds its key, and only while it does", async () => {
  const locks = new LockTable();
  const datastore = memoryDatastore();
  const held = locks.tryAcquire([vms.key("web")], "UpdateVirtualMachine");
  await datastore.batch(held.put(vms, "web", { n: 1 }));
  expect(() => held.put(vms, "other", { n: 1 })).toThrow("vm/other is written without holding");
  expect(() => held.remove(vms, "other")).toThrow("without holding");
  await datastore.batch(held.remove(vms, "web"));
  held.release();
  expect(() => held.put(vms, "web", { n: 2 })).toThrow("without holding");
  expect(() => held.remove(vms, "web")).toThrow("without holding");
});
