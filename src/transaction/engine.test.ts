import { expect, test } from "vitest";
import { newFakeClock } from "../../test/fake-clock.ts";
import {
  makeThing,
  newToyWorld,
  paintThing,
  slots,
  type ToyOptions,
  takeSlot,
  toys,
} from "../../test/toy-saga.ts";
import { put, putNew } from "../datastore/collection.ts";
import { memoryDatastore } from "../datastore/memory/memory-datastore.ts";
import { N0Error } from "../util/errors.ts";
import { until } from "../util/until.ts";
import type { Step } from "./step.ts";

function newWorld(options: Partial<ToyOptions> = {}) {
  const datastore = memoryDatastore();
  return newToyWorld({ open: () => datastore, ...options });
}

const reasonOf = (call: Promise<unknown>) =>
  call.then(
    () => {
      throw new Error("it succeeded");
    },
    (reason: unknown) => reason,
  );

test("a saga runs its steps, commits, finishes what is left, and rests", async () => {
  await using world = await newWorld();
  expect(await world.create("mine")).toBe("mine");
  expect(world.node.log).toEqual([
    "act toy.take_slot",
    "act toy.make_thing",
    "act toy.paint_thing",
    "act toy.sweep_draft",
    "act toy.announce",
  ]);
  expect(await world.headers()).toMatchObject([
    { kind: "CreateToy", guards: ["toy/mine"], state: "done", isCommitted: true },
  ]);
  expect((await world.lastSteps()).map(({ phase }) => phase)).toEqual([
    "started",
    "started",
    "started",
    "done",
    "done",
  ]);
  expect(world.changes.map(({ state }) => state)).toEqual(["committed", "done"]);
});

test("when acts ended is written with what is written anyway", async () => {
  const clock = newFakeClock();
  const calls: string[] = [];
  await using world = await newWorld({
    clock,
    wrapJournal: (journal) =>
      new Proxy(journal, {
        get(target, name: keyof typeof journal) {
          return (...args: readonly unknown[]) => {
            calls.push(name);
            return Reflect.apply(target[name], target, args);
          };
        },
      }),
  });
  world.node.trouble = () => clock.sleep(100);
  const startMs = clock.nowMs();
  const created = world.create("mine");
  await clock.advance(1_000);
  await created;
  const rows = await world.journal().listSteps((await world.headers())[0]!.id);
  const [header] = await world.headers();
  expect(rows.map(({ ended }) => ended)).toEqual([
    undefined,
    [[0, startMs + 100]],
    [[1, startMs + 200]],
    undefined,
    undefined,
  ]);
  expect(header?.ended).toEqual([[2, startMs + 300]]);
  expect(
    rows.slice(3).map(({ startedAtMs, endedAtMs, tries }) => [startedAtMs, endedAtMs, tries]),
  ).toEqual([
    [startMs + 300, startMs + 400, 1],
    [startMs + 400, startMs + 500, 1],
  ]);
  const writes = calls.filter((name) => !/^(list|find)/.test(name));
  expect(writes).toEqual([
    "begin",
    ...["stepStarted", "stepStarted", "stepStarted", "commit"],
    ...["update", "retriableDone", "retriableDone", "update"],
  ]);
});

test("one that is cancelled while it acts is undone, and says by whom", async () => {
  await using world = await newWorld();
  const before = await world.residue();
  const cancel = { asker: { userAgent: "test" }, atMs: 7 };
  world.node.trouble = (line, signal) => {
    if (line !== "act toy.make_thing") return;
    world.engine.live.all()[0]!.cancel(cancel);
    expect(signal.aborted).toBe(true);
    throw new Error("stopped");
  };
  expect(await reasonOf(world.create("mine"))).toMatchObject({
    kind: "canceled",
    message: "CreateToy was cancelled on request",
    facts: { rollback: "done", transactionId: expect.any(String) },
  });
  expect(await world.headers()).toMatchObject([{ state: "unwound", cancel }]);
  expect(await world.residue()).toEqual(before);
  expect(world.engine.live.all()).toEqual([]);
});

test.each([
  ["cancelled", "CreateToy was cancelled on request"],
  ["given up by its client", "the client gave up before it was done <- gone"],
])(
  "one that is %s is told as that, not as what the calls that it ends come to",
  async (how, told) => {
    await using world = await newWorld();
    const client = new AbortController();
    world.node.trouble = (line) => {
      if (line !== "act toy.make_thing") return;
      if (how === "cancelled") world.engine.live.all()[0]!.cancel({ asker: {}, atMs: 7 });
      else client.abort("gone");
      throw new N0Error("unavailable", "its agent did not answer in time");
    };
    const failed = reasonOf(
      world.run(async (tx) => tx.run(makeThing, { name: "mine" }), {
        kind: "CreateToy",
        cancel: client.signal,
      }),
    );
    await failed;
    expect(await world.headers()).toMatchObject([{ state: "unwound", error: told }]);
    expect(await world.lastSteps()).toMatchObject([{ error: told }]);
  },
);

test("an error keeps its kind and words, and bears the transaction's id and that all is undone", async () => {
  await using world = await newWorld();
  world.node.trouble = (line) => {
    if (line === "act toy.paint_thing") {
      throw new N0Error("failed_precondition", "no paint left", { field: "paint" });
    }
  };
  const reason = await reasonOf(world.create("mine"));
  const [header] = await world.headers();
  expect(reason).toMatchObject({
    kind: "failed_precondition",
    message: "no paint left",
    facts: { field: "paint", transactionId: header!.id, rollback: "done" },
  });
  expect(header).toMatchObject({ state: "unwound", error: "no paint left" });
});

test("a bug in a step is an internal error, whose words go to the log only", async () => {
  await using world = await newWorld();
  world.node.trouble = (line) => {
    if (line === "act toy.make_thing") throw new TypeError("x is undefined");
  };
  const reason = await reasonOf(world.create("mine"));
  expect(reason).toMatchObject({
    kind: "internal",
    message: "internal error",
    cause: { message: "x is undefined" },
  });
  expect((await world.headers())[0]?.error).toContain("x is undefined");
});

test("the last step is undone first", async () => {
  await using world = await newWorld();
  world.node.trouble = (line) => {
    if (line === "act toy.paint_thing") throw new Error("no");
  };
  await reasonOf(world.create("mine"));
  expect(world.node.log.slice(3)).toEqual([
    "undo toy.paint_thing",
    "undo toy.make_thing",
    "undo toy.take_slot",
  ]);
});

test("a commit that conflicts unwinds everything", async () => {
  await using world = await newWorld();
  await world.datastore.batch(put(toys, ["mine"], { state: "somebody else's" }));
  const before = await world.residue();
  const reason = await reasonOf(
    world.run(async (tx) => {
      await tx.run(takeSlot, { name: "mine" });
      await tx.run(makeThing, { name: "mine" });
      await tx.commit(putNew(toys, ["mine"], { state: "made" }));
    }),
  );
  expect(reason).toMatchObject({ facts: { rollback: "done" }, cause: { name: "ConflictError" } });
  expect(await world.residue()).toEqual(before);
});

test("a saga may commit again after a conflict", async () => {
  await using world = await newWorld();
  await world.datastore.batch(put(toys, ["mine"], { state: "old" }));
  await world.run(async (tx) => {
    await expect(tx.commit(putNew(toys, ["mine"], { state: "new" }))).rejects.toThrow("changed");
    await tx.commit(put(toys, ["mine"], { state: "new" }));
  });
  expect((await world.headers())[0]?.state).toBe("done");
});

test("a saga that ends without a commit is unwound", async () => {
  await using world = await newWorld();
  const before = await world.residue();
  const reason = await reasonOf(world.run((tx) => tx.run(makeThing, { name: "mine" })));
  expect(reason).toMatchObject({ cause: { message: "CreateToy ended without a commit" } });
  expect(await world.residue()).toEqual(before);
});

test("no step runs and nothing commits after the commit", async () => {
  await using world = await newWorld();
  await world.run(async (tx) => {
    await tx.commit({});
    await expect(tx.run(makeThing, { name: "mine" })).rejects.toThrow("runs after the commit");
    await expect(tx.commit({})).rejects.toThrow("commits a second time");
  });
  expect(world.node.things.has("mine")).toBe(false);
});

test("a saga that fails after its commit has happened, and its error does not say it was undone", async () => {
  await using world = await newWorld();
  const reason = await reasonOf(
    world.run(async (tx) => {
      await tx.run(makeThing, { name: "mine" });
      await tx.commit(put(toys, ["mine"], { state: "made" }));
      throw new Error("a bug behind the commit");
    }),
  );
  expect(reason).toMatchObject({ facts: { transactionId: expect.any(String) } });
  expect((reason as N0Error).facts.rollback).toBeUndefined();
  expect(world.node.things.has("mine")).toBe(true);
  expect(await world.headers()).toMatchObject([{ state: "done" }]);
});

test("steps that are fanned out each have a row and an undo of their own", async () => {
  await using world = await newWorld();
  const before = await world.residue();
  const names = ["a", "b", "c", "d"];
  await reasonOf(
    world.run(async (tx) => {
      await Promise.allSettled(names.map((name) => tx.run(makeThing, { name })));
      throw new Error("no");
    }),
  );
  expect((await world.lastSteps()).map(({ seq, input }) => [seq, input])).toEqual(
    names.map((name, seq) => [seq, { name }]),
  );
  expect(await world.residue()).toEqual(before);
});

test("nothing is undone while a step still acts, though its saga has failed", async () => {
  await using world = await newWorld();
  const gate = Promise.withResolvers<void>();
  world.node.trouble = (line) => (line === "act toy.make_thing" ? gate.promise : undefined);
  const failed = reasonOf(
    world.run(async (tx) => {
      const acting = tx.run(makeThing, { name: "mine" });
      await Promise.all([acting, tx.run(paintThing, { name: "mine" }).then(() => fail())]);
    }),
  );
  await until(() => world.node.log.includes("act toy.paint_thing"));
  expect(world.node.log.filter((line) => line.startsWith("undo"))).toEqual([]);
  gate.resolve();
  await failed;
  expect([...world.node.things.keys()]).toEqual(["other"]);
});

function fail(): never {
  throw new Error("no");
}

test("a commit is refused while a step still acts", async () => {
  await using world = await newWorld();
  const gate = Promise.withResolvers<void>();
  world.node.trouble = (line) => (line === "act toy.make_thing" ? gate.promise : undefined);
  const failed = reasonOf(
    world.run(async (tx) => {
      void tx.run(makeThing, { name: "mine" });
      queueMicrotask(gate.resolve);
      await tx.commit({});
    }),
  );
  expect(await failed).toMatchObject({ cause: { message: expect.stringContaining("still run") } });
  expect([...world.node.things.keys()]).toEqual(["other"]);
});

test("a generation is larger than all before it, from act to undo and from one to the next", async () => {
  const generations: number[] = [];
  const note: Step<unknown, { readonly name: string }> = {
    name: "toy.make_thing",
    act: async (_, __, { generation }) => void generations.push(generation),
    undo: async (_, __, { generation }) => void generations.push(generation),
  };
  await using world = await newWorld({ steps: [note] });
  for (let i = 0; i < 2; i += 1) {
    await reasonOf(
      world.run(async (tx) => {
        await tx.run(note, { name: "a" });
        throw new Error("no");
      }),
    );
  }
  expect(generations).toHaveLength(4);
  expect(generations).toEqual([...new Set(generations)].toSorted((a, b) => a - b));
});

test("a client that gives up before the commit causes an unwind", async () => {
  await using world = await newWorld();
  const before = await world.residue();
  const client = new AbortController();
  world.node.trouble = (line, signal) => {
    if (line !== "act toy.make_thing") return;
    client.abort(new Error("hung up"));
    expect(signal.aborted).toBe(true);
  };
  const reason = await reasonOf(world.create("mine", client.signal));
  expect(reason).toMatchObject({ kind: "aborted", facts: { rollback: "done" } });
  expect(world.node.log).not.toContain("act toy.paint_thing");
  expect(world.node.log).toContain("undo toy.make_thing");
  expect(await world.residue()).toEqual(before);
});

test("the undo of what a client gave up does not see that it gave up", async () => {
  await using world = await newWorld();
  const client = new AbortController();
  const seen: boolean[] = [];
  world.node.trouble = (line, signal) => {
    if (line === "act toy.make_thing") client.abort();
    if (line.startsWith("undo")) seen.push(signal.aborted);
  };
  await reasonOf(world.create("mine", client.signal));
  expect(seen).toEqual([false, false]);
});

test("a client whose act rejects with the reason of the stop is told that the API is shutting down", async () => {
  await using world = await newWorld();
  world.node.trouble = (line, signal) =>
    line === "act toy.make_thing"
      ? new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)))
      : undefined;
  const failed = reasonOf(world.create("mine"));
  await until(() => world.node.log.includes("act toy.make_thing"), { what: "the act has begun" });
  await world.stop();
  expect(await failed).toMatchObject({
    kind: "unavailable",
    message: "the API is shutting down: try again",
    facts: { transactionId: expect.any(String), retryAfterMs: 1_000 },
  });
});

test("a client that gives up after the commit is told so, and it is finished without it", async () => {
  await using world = await newWorld();
  const client = new AbortController();
  const gate = Promise.withResolvers<void>();
  world.node.trouble = async (line) => {
    if (line !== "act toy.sweep_draft") return;
    client.abort();
    await gate.promise;
  };
  const reason = await reasonOf(world.create("mine", client.signal));
  expect(reason).toMatchObject({
    kind: "deadline_exceeded",
    facts: { transactionId: expect.any(String) },
  });
  expect(world.engine.openCount).toBe(1);
  expect(await world.locks.list()).toHaveLength(1);
  gate.resolve();
  await world.engine.settled();
  expect([...world.node.announced]).toEqual(["other", "mine"]);
  expect(world.node.log.filter((line) => line.startsWith("undo"))).toEqual([]);
  expect(await world.locks.list()).toHaveLength(0);
});

test("a client that gave up just before the end of a commit with nothing left gets its answer", async () => {
  await using world = await newWorld();
  const client = new AbortController();
  const cancel = client.signal;
  world.faults = ({ point }) => {
    if (point === "after_commit") client.abort();
  };
  expect(await world.run(async (tx) => (await tx.commit({}), "done"), { cancel })).toBe("done");
});

test("one too many is refused before anything is written, and let go", async () => {
  await using world = await newWorld({ openMax: 2 });
  const gate = Promise.withResolvers<void>();
  world.node.trouble = (line) => (line === "act toy.sweep_draft" ? gate.promise : undefined);
  const others = [world.create("a"), world.create("b")];
  await until(() => world.node.log.filter((line) => line === "act toy.sweep_draft").length === 2);
  expect(world.engine.openCount).toBe(2);
  const before = await world.datastore.list("");
  const reason = await reasonOf(world.create("c"));
  expect(reason).toMatchObject({
    kind: "resource_exhausted",
    facts: { retryAfterMs: expect.any(Number) },
  });
  expect(await world.datastore.list("")).toEqual(before);
  expect(await world.locks.list()).toHaveLength(2);
  gate.resolve();
  await Promise.all(others);
  expect(world.engine.openCount).toBe(0);
  await world.create("c");
});

test("of those that begin at the same moment no more are admitted than may be open", async () => {
  await using world = await newWorld({ openMax: 3 });
  const results = await Promise.allSettled(
    Array.from({ length: 10 }, (_, i) => world.create(`toy-${i}`)),
  );
  expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(3);
  expect(await world.locks.list()).toHaveLength(0);
});

test("failed transactions give their place back", async () => {
  await using world = await newWorld({ openMax: 1 });
  world.node.trouble = (line) => {
    if (line === "act toy.make_thing") throw new Error("no");
  };
  for (let i = 0; i < 5; i += 1) await reasonOf(world.create("mine"));
  world.node.trouble = () => {};
  await world.create("mine");
});

test("a client waits ten seconds at most for an unwind that takes longer, which goes on", async () => {
  const clock = newFakeClock();
  await using world = await newWorld({ clock });
  const gate = Promise.withResolvers<void>();
  world.node.trouble = (line) => {
    if (line === "act toy.paint_thing") throw new N0Error("unavailable", "no");
    return line === "undo toy.make_thing" ? gate.promise : undefined;
  };
  const failed = reasonOf(world.create("mine"));
  await clock.advance(9_999);
  expect(world.engine.openCount).toBe(1);
  await clock.advance(1);
  expect(await failed).toMatchObject({ kind: "unavailable", facts: { rollback: "going_on" } });
  expect(await world.locks.list()).toHaveLength(1);
  gate.resolve();
  await world.engine.settled();
  expect(await world.locks.list()).toHaveLength(0);
  expect(clock.sleepers).toBe(0);
});

test("while a transaction runs it is not settled", async () => {
  await using world = await newWorld();
  const gate = Promise.withResolvers<void>();
  world.node.trouble = (line) => (line === "act toy.make_thing" ? gate.promise : undefined);
  const created = world.create("mine");
  await until(() => world.node.log.includes("act toy.make_thing"));
  let isSettled = false;
  const settled = world.engine.settled().then(() => {
    isSettled = true;
  });
  await new Promise(setImmediate);
  expect(isSettled).toBe(false);
  gate.resolve();
  await Promise.all([created, settled]);
});

test("two that want the same slot: the one that loses leaves the other's alone", async () => {
  await using world = await newWorld();
  await world.datastore.batch(putNew(slots, ["mine"], { owner: "somebody" }));
  const before = await world.residue();
  expect(await reasonOf(world.create("mine"))).toMatchObject({ kind: "already_exists" });
  expect(await world.residue()).toEqual(before);
});
