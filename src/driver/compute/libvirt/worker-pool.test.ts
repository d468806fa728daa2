import { expect, test } from "vitest";
import { systemClock } from "../../../util/clock.ts";
import { newSpec } from "../suite/world.suite.ts";
import { createWorkerPool, type RpcThread } from "./worker-pool.ts";
import type { FromRpcWorker, ToRpcWorker } from "./worker-protocol.ts";

/** A thread whose answers the test gives. */
class ScriptedThread implements RpcThread {
  readonly received: ToRpcWorker[] = [];
  private readonly listeners = new Map<string, (argument: never) => void>();

  postMessage(message: ToRpcWorker): void {
    this.received.push(message);
  }

  on(event: string, listener: (argument: never) => void): void {
    this.listeners.set(event, listener);
  }

  emit(event: "message" | "error", argument: unknown): void {
    this.listeners.get(event)?.(argument as never);
  }

  finish(result: unknown = undefined): void {
    const message: FromRpcWorker = { kind: "done", id: 0, result };
    this.emit("message", message);
  }

  names(): string[] {
    return this.received.flatMap((m) =>
      m.kind === "run" && "name" in m.operation ? [m.operation.name] : [],
    );
  }
}

const MINUTE_MS = 60_000;
const mark = { owner: "virtual_machine/a", transactionId: "tx" };

function newPool({ width = 2, timeoutMs = MINUTE_MS, idleMs = MINUTE_MS } = {}) {
  const threads: ScriptedThread[] = [];
  const startThread = () => {
    const thread = new ScriptedThread();
    threads.push(thread);
    return thread;
  };
  const lanes = { change: { width, timeoutMs }, read: { width: 1, timeoutMs } };
  const pool = createWorkerPool({ startThread, lanes, idleMs, clock: systemClock });
  const namesOf = () => threads.map((thread) => thread.names());
  return { threads, pool, namesOf };
}

test("operations on one name wait for each other, those on others do not", async () => {
  const { threads, pool, namesOf } = newPool();
  const a1 = pool.call("change", { kind: "resume", name: "a" });
  const a2 = pool.call("change", { kind: "off", name: "a" });
  const b = pool.call("change", { kind: "resume", name: "b" });
  expect(namesOf()).toEqual([["a"], ["b"]]);

  threads[1]!.finish();
  await b;
  expect(namesOf()).toEqual([["a"], ["b"]]);
  threads[0]!.finish();
  await a1;
  expect(namesOf()).toEqual([["a", "a"], ["b"]]);
  threads[0]!.finish();
  await a2;
});

test("starts that wait are passed by all else, but for what is on their own name", async () => {
  const { threads, pool } = newPool({ width: 1 });
  const ended: string[] = [];
  const call = (kind: "start" | "resume", name: string) => {
    const operation =
      kind === "start" ? ({ kind, spec: newSpec(name), mark } as const) : { kind, name };
    return pool.call("change", operation).then(() => ended.push(`${kind} ${name}`));
  };
  const calls = [
    call("start", "a"),
    call("start", "b"),
    call("start", "c"),
    call("resume", "b"),
    call("resume", "x"),
    call("start", "d"),
    call("resume", "y"),
  ];
  for (const _ of calls) {
    threads[0]!.finish();
    await new Promise(setImmediate);
  }
  expect(ended).toEqual([
    "start a",
    "start b",
    "resume b",
    "resume x",
    "resume y",
    "start c",
    "start d",
  ]);
});

test("a thread is started only when the others are busy, up to the width of the lane", async () => {
  const { threads, pool, namesOf } = newPool();
  const call = (name: string) => pool.call("change", { kind: "resume", name });
  expect(threads).toHaveLength(0);
  const first = call("a");
  threads[0]!.finish();
  await first;
  const others = ["b", "c", "d"].map(call);
  expect(namesOf()).toEqual([["a", "b"], ["c"]]);
  threads[0]!.finish();
  expect(namesOf()).toEqual([["a", "b", "d"], ["c"]]);
  threads[0]!.finish();
  threads[1]!.finish();
  await Promise.all(others);
});

test("a read never waits for a change, not even on the same name", async () => {
  const { threads, pool, namesOf } = newPool({ width: 1 });
  const changes = ["a", "b"].map((name) => pool.call("change", { kind: "resume", name }));
  const read = pool.call("read", { kind: "observe", name: "a" });
  expect(namesOf()).toEqual([["a"], ["a"]]);
  threads[1]!.finish("running");
  expect(await read).toBe("running");
  threads[0]!.finish();
  threads[0]!.finish();
  await Promise.all(changes);
});

test("threads that have nothing to do are ended but for one, and started again", async () => {
  const { threads, pool, namesOf } = newPool({ idleMs: 20 });
  const calls = ["a", "b"].map((name) => pool.call("change", { kind: "resume", name }));
  for (const thread of threads) thread.finish();
  await Promise.all(calls);
  const isStopped = (thread: ScriptedThread) => thread.received.at(-1)?.kind === "stop";
  await expect.poll(() => threads.filter(isStopped)).toHaveLength(1);
  const [left] = threads.filter((thread) => !isStopped(thread));

  const again = ["c", "d"].map((name) => pool.call("change", { kind: "resume", name }));
  expect(left!.names().slice(1)).toEqual(["c"]);
  expect(namesOf()[2]).toEqual(["d"]);
  left!.finish();
  threads[2]!.finish();
  await Promise.all(again);
});

test("the end of an abandoned operation is waited for by the next on that name", async () => {
  const { threads, pool, namesOf } = newPool();
  const controller = new AbortController();
  const started = pool.call("change", { kind: "resume", name: "a" }, controller.signal);
  controller.abort(new Error("hung up"));
  await expect(started).rejects.toThrow("hung up");

  const removed = pool.call("change", { kind: "off", name: "a" });
  expect(namesOf()).toEqual([["a"]]);
  threads[0]!.finish();
  threads[0]!.finish();
  await removed;
});

test("an operation abandoned while it waits is never done", async () => {
  const { threads, pool, namesOf } = newPool({ width: 1 });
  const running = pool.call("change", { kind: "resume", name: "a" });
  const controller = new AbortController();
  const waiting = pool.call("change", { kind: "resume", name: "b" }, controller.signal);
  controller.abort(new Error("hung up"));
  await expect(waiting).rejects.toThrow("hung up");
  threads[0]!.finish();
  await running;
  expect(namesOf()).toEqual([["a"]]);
});

const stuck = { kind: "unavailable" };

test("a call that hangs is made up for by another thread, which is used on when it answers after all", async () => {
  const { threads, pool, namesOf } = newPool({ width: 1, timeoutMs: 20 });
  await expect(pool.call("change", { kind: "resume", name: "a" })).rejects.toMatchObject(stuck);
  await expect(pool.call("change", { kind: "off", name: "a" })).rejects.toMatchObject(stuck);
  const other = pool.call("change", { kind: "resume", name: "b" });
  threads[1]!.finish();
  await other;

  threads[0]!.finish();
  const again = pool.call("change", { kind: "off", name: "a" });
  threads[0]!.finish();
  await again;
  expect(namesOf()).toEqual([["a", "a"], ["b"]]);
});

test("when too many calls hang, what waits is refused; the other lane goes on", async () => {
  const { threads, pool } = newPool({ width: 1, timeoutMs: 20 });
  const names = ["a", "b", "c", "d", "e", "f", "g"];
  const calls = names.map((name) => pool.call("change", { kind: "resume", name }));
  const outcomes = await Promise.allSettled(calls);
  expect(outcomes.map(({ status }) => status)).toEqual(names.map(() => "rejected"));
  expect(threads).toHaveLength(5);

  const read = pool.call("read", { kind: "list" });
  threads.at(-1)!.finish([]);
  expect(await read).toEqual([]);
});

test("a thread that dies fails what it did, and another one does the rest", async () => {
  const { threads, pool } = newPool({ width: 1 });
  const failing = pool.call("change", { kind: "resume", name: "a" });
  const next = pool.call("change", { kind: "resume", name: "b" });
  threads[0]!.emit("error", new Error("died"));
  await expect(failing).rejects.toMatchObject({ kind: "unavailable", cause: new Error("died") });
  threads[1]!.finish();
  await next;
  expect(threads[1]!.names()).toEqual(["b"]);
});

test("a pool that is closed ends its threads and refuses what waits and what comes", async () => {
  const { threads, pool } = newPool({ width: 1 });
  const calls = ["a", "b"].map((name) => pool.call("change", { kind: "resume", name }));
  pool.close();
  for (const call of calls) await expect(call).rejects.toMatchObject(stuck);
  await expect(pool.call("read", { kind: "list" })).rejects.toMatchObject(stuck);
  expect(threads.map(({ received }) => received.at(-1)?.kind)).toEqual(["stop"]);
});

test("an error of the operation comes back with its kind, and its cause for the log", async () => {
  const { threads, pool } = newPool();
  const call = pool.call("change", { kind: "resume", name: "a" });
  const error = {
    kind: "resource_exhausted",
    message: "full",
    resource: "virtual_machine/a",
    cause: "c",
  };
  threads[0]!.emit("message", { kind: "failed", id: 1, error });
  await expect(call).rejects.toMatchObject({
    kind: "resource_exhausted",
    message: "full",
    facts: { resource: "virtual_machine/a", cause: new Error("c") },
  });
});
