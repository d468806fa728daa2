import { expect, test } from "vitest";
import { systemClock } from "../util/clock.ts";
import { defined } from "../util/defined.ts";
import { N0Error } from "../util/errors.ts";
import { silentLog } from "../util/log.ts";
import { untilAborted } from "../util/race.ts";
import { newKeyedQueue } from "./keyed-queue.ts";

const never = new AbortController().signal;
const around = { clock: systemClock, log: silentLog };
const newQueue = (idleKeysMax?: number) =>
  newKeyedQueue({
    signal: never,
    ...around,
    ...defined({ idleKeysMax }),
  });

/** Work that ends when it is told to, and says when it has started. */
function heldWork() {
  const started = Promise.withResolvers<AbortSignal>();
  const end = Promise.withResolvers<string>();
  const work = (signal: AbortSignal) => {
    started.resolve(signal);
    return end.promise;
  };
  return { work, started: started.promise, end };
}

test("work of one key runs one at a time, in the order it was asked for; keys do not wait", async () => {
  const queue = newQueue();
  const order: string[] = [];
  const first = heldWork();
  const works = [
    queue.run("a", 1n, first.work),
    queue.run("a", 1n, async () => void order.push("second")),
    queue.run("a", 1n, async () => void order.push("third")),
  ];
  await queue.run("b", 1n, async () => void order.push("other key"));
  expect(order).toEqual(["other key"]);
  first.end.resolve("");
  await Promise.all(works);
  expect(order).toEqual(["other key", "second", "third"]);
});

test("a request that waits is refused when its turn comes if a newer one came meanwhile", async () => {
  const queue = newQueue();
  const first = heldWork();
  const running = queue.run("a", 1n, first.work);
  await first.started;
  let ran = false;
  const queued = queue.run("a", 1n, async () => void (ran = true));
  const newer = queue.run("a", 2n, async () => "newer");
  const refusal = expect(queued).rejects.toMatchObject({ kind: "aborted" });
  first.end.resolve("first");
  await refusal;
  expect([ran, await running, await newer]).toEqual([false, "first", "newer"]);
});

test("the same generation again runs again, behind the first", async () => {
  const queue = newQueue();
  const first = heldWork();
  const running = queue.run("a", 7n, first.work);
  const signal = await first.started;
  const again = queue.run("a", 7n, async () => "again");
  expect(signal.aborted).toBe(false);
  first.end.resolve("first");
  expect(await Promise.all([running, again])).toEqual(["first", "again"]);
});

test("a request older than the newest seen is refused, also when the newer one failed", async () => {
  const queue = newQueue();
  await expect(queue.run("a", 2n, () => Promise.reject(new Error("broken")))).rejects.toThrow(
    "broken",
  );
  let ran = false;
  const late = queue.run("a", 1n, async () => void (ran = true));
  await expect(late).rejects.toMatchObject({ kind: "aborted", facts: { resource: "a" } });
  expect(ran).toBe(false);
});

test("a request is refused when a newer one is queued, though it has not run", async () => {
  const queue = newQueue();
  const first = heldWork();
  const running = queue.run("a", 1n, first.work);
  await first.started;
  const newest = queue.run("a", 3n, async () => "newest");
  await expect(queue.run("a", 2n, async () => {})).rejects.toMatchObject({ kind: "aborted" });
  first.end.resolve("first");
  expect(await running).toBe("first");
  expect(await newest).toBe("newest");
});

test("a newer request aborts an older one that runs, and waits until it has really ended", async () => {
  const queue = newQueue();
  const cleaned = Promise.withResolvers<void>();
  const order: string[] = [];
  const fetch = queue.run("a", 1n, async (signal) => {
    try {
      await untilAborted(signal);
    } finally {
      await cleaned.promise;
      order.push("the fetch has cleaned up");
    }
  });
  await new Promise(setImmediate);
  const undo = queue.run("a", 2n, async () => void order.push("the undo runs"));
  const refusal = expect(fetch).rejects.toMatchObject({
    kind: "aborted",
    message: "superseded by a newer request for a",
  });
  await new Promise(setImmediate);
  expect(order).toEqual([]);
  cleaned.resolve();
  await refusal;
  await undo;
  expect(order).toEqual(["the fetch has cleaned up", "the undo runs"]);
});

test("work that fails by itself keeps its error; one that fails for its abortion keeps it as the cause", async () => {
  const queue = newQueue();
  const broken = new N0Error("resource_exhausted", "disk full");
  await expect(queue.run("a", 1n, () => Promise.reject(broken))).rejects.toBe(broken);

  const first = heldWork();
  const running = queue.run("a", 2n, first.work);
  await first.started;
  const newer = queue.run("a", 3n, async () => "newer");
  first.end.reject(broken);
  await expect(running).rejects.toMatchObject({ kind: "aborted", cause: broken });
  expect(await newer).toBe("newer");
});

test("work that throws at once frees its key", async () => {
  const queue = newQueue();
  const thrown = queue.run("a", 1n, () => {
    throw new TypeError("at once");
  });
  const next = queue.run("a", 1n, async () => "fine");
  await expect(thrown).rejects.toThrow("at once");
  expect(await next).toBe("fine");
  expect(queue.busyKeys).toBe(0);
});

test("at the end of the process running work is aborted, queued and new work refused", async () => {
  const end = new AbortController();
  const queue = newKeyedQueue({ signal: end.signal, ...around });
  const running = queue.run("a", 1n, untilAborted);
  const queued = queue.run("a", 1n, async () => "never");
  const idle = queue.whenIdle();
  const ends = Promise.allSettled([running, queued]);
  await new Promise(setImmediate);
  end.abort();
  for (const settled of await ends) {
    expect(settled).toMatchObject({ status: "rejected", reason: { kind: "unavailable" } });
  }
  await idle;
  await expect(queue.run("b", 1n, async () => {})).rejects.toMatchObject({ kind: "unavailable" });
});

test("whenIdle waits for all keys, and for what came meanwhile", async () => {
  const queue = newQueue();
  await queue.whenIdle();
  const [a, b] = [heldWork(), heldWork()];
  let idle = false;
  const works = [queue.run("a", 1n, a.work)];
  const whenIdle = queue.whenIdle().then(() => void (idle = true));
  works.push(queue.run("b", 1n, b.work));
  a.end.resolve("");
  await works[0];
  await new Promise(setImmediate);
  expect(idle).toBe(false);
  b.end.resolve("");
  await Promise.all([...works, whenIdle]);
});

test("the least recently used idle keys are forgotten, never a key with work", async () => {
  const queue = newQueue(3);
  const held = heldWork();
  const running = queue.run("busy", 9n, held.work);
  for (const key of ["a", "b", "c"]) await queue.run(key, 9n, async () => {});
  // A refusal is a use too.
  await expect(queue.run("a", 1n, async () => {})).rejects.toMatchObject({ kind: "aborted" });
  for (const key of ["d", "e"]) await queue.run(key, 9n, async () => {});
  expect([queue.idleKeys, queue.busyKeys]).toEqual([3, 1]);

  await expect(queue.run("busy", 1n, async () => {})).rejects.toMatchObject({ kind: "aborted" });
  await expect(queue.run("a", 1n, async () => {})).rejects.toMatchObject({ kind: "aborted" });
  expect(await queue.run("b", 1n, async () => "forgotten")).toBe("forgotten");
  held.end.resolve("");
  await running;
});

test("thousands of keys come and go without growing what is kept", async () => {
  const queue = newQueue(50);
  const works = Array.from({ length: 5_000 }, (_, n) =>
    queue.run(`key ${n}`, BigInt(n), async () => n),
  );
  await Promise.all(works);
  expect([queue.idleKeys, queue.busyKeys]).toEqual([50, 0]);
});
