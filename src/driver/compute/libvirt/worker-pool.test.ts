import { expect, test } from "vitest";
import { systemClock } from "../../../util/clock.ts";
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

function newPool({ threadCount = 2, timeoutMs = 60_000 } = {}) {
  const threads = Array.from({ length: threadCount }, () => new ScriptedThread());
  return { threads, pool: createWorkerPool(threads, timeoutMs, systemClock) };
}

test("operations on one name wait for each other, those on others do not", async () => {
  const { threads, pool } = newPool();
  const [first, second] = threads as [ScriptedThread, ScriptedThread];
  const a1 = pool.call({ kind: "resume", name: "a" });
  const a2 = pool.call({ kind: "off", name: "a" });
  const b = pool.call({ kind: "resume", name: "b" });
  expect([first.names(), second.names()]).toEqual([["a"], ["b"]]);

  second.finish();
  await b;
  expect([first.names(), second.names()]).toEqual([["a"], ["b"]]);
  first.finish();
  await a1;
  expect(first.names()).toEqual(["a", "a"]);
  first.finish();
  await a2;
});

test("the end of an abandoned operation is waited for by the next on that name", async () => {
  const { threads, pool } = newPool();
  const [first, second] = threads as [ScriptedThread, ScriptedThread];
  const controller = new AbortController();
  const started = pool.call({ kind: "resume", name: "a" }, controller.signal);
  controller.abort(new Error("hung up"));
  await expect(started).rejects.toThrow("hung up");

  const removed = pool.call({ kind: "off", name: "a" });
  expect([first.names(), second.names()]).toEqual([["a"], []]);
  first.finish();
  first.finish();
  await removed;
});

test("an operation abandoned while it waits is never done", async () => {
  const { threads, pool } = newPool({ threadCount: 1 });
  const [only] = threads as [ScriptedThread];
  const running = pool.call({ kind: "resume", name: "a" });
  const controller = new AbortController();
  const waiting = pool.call({ kind: "resume", name: "b" }, controller.signal);
  controller.abort(new Error("hung up"));
  await expect(waiting).rejects.toThrow("hung up");
  only.finish();
  await running;
  expect(only.names()).toEqual(["a"]);
});

test("a thread that does not answer in time is passed over, and used again when it has answered", async () => {
  const { threads, pool } = newPool({ timeoutMs: 20 });
  const [first, second] = threads as [ScriptedThread, ScriptedThread];
  const stuck = { kind: "unavailable" };
  await expect(pool.call({ kind: "resume", name: "a" })).rejects.toMatchObject(stuck);
  await expect(pool.call({ kind: "off", name: "a" })).rejects.toMatchObject(stuck);
  const other = pool.call({ kind: "resume", name: "b" });
  second.finish();
  await other;

  first.finish();
  const again = pool.call({ kind: "off", name: "a" });
  first.finish();
  await again;
  expect(first.names()).toEqual(["a", "a"]);
});

test("when no thread is left, what waits is refused instead of waiting for ever", async () => {
  const { threads, pool } = newPool({ threadCount: 1 });
  const [only] = threads as [ScriptedThread];
  const calls = [pool.call({ kind: "resume", name: "a" }), pool.call({ kind: "list" })];
  only.emit("error", new Error("died"));
  for (const call of calls) await expect(call).rejects.toMatchObject({ kind: "unavailable" });
  await expect(pool.call({ kind: "list" })).rejects.toMatchObject({ kind: "unavailable" });
});

test("an error of the operation comes back with its kind, and its cause for the log", async () => {
  const { threads, pool } = newPool({ threadCount: 1 });
  const [only] = threads as [ScriptedThread];
  const call = pool.call({ kind: "resume", name: "a" });
  const error = {
    kind: "resource_exhausted",
    message: "full",
    resource: "virtual_machine/a",
    cause: "c",
  };
  only.emit("message", { kind: "failed", id: 1, error });
  await expect(call).rejects.toMatchObject({
    kind: "resource_exhausted",
    message: "full",
    facts: { resource: "virtual_machine/a", cause: new Error("c") },
  });
});
