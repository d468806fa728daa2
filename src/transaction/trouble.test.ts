import { expect, test } from "vitest";
import { newFakeClock } from "../../test/fake-clock.ts";
import { makeThing, newToyWorld, type ToyOptions } from "../../test/toy-saga.ts";
import { put } from "../datastore/collection.ts";
import type { Writes } from "../datastore/datastore.ts";
import { transactionCollection } from "../datastore/datastore-journal.ts";
import { memoryDatastore } from "../datastore/memory/memory-datastore.ts";
import { N0Error } from "../util/errors.ts";
import { untilAborted } from "../util/race.ts";
import { SimulatedCrash } from "./faults.ts";
import type { Journal } from "./journal.ts";

async function newWorld(options: Partial<ToyOptions> = {}) {
  const datastore = memoryDatastore();
  const clock = newFakeClock();
  const world = await newToyWorld({ open: () => datastore, clock, ...options });
  /** Leaves an open transaction behind, as a process does that dies there. */
  const die = async (name: string, point = "after_act", seq = 2) => {
    world.faults = (place) => {
      if (place.point === point && place.seq === seq) throw new SimulatedCrash();
    };
    await expect(world.create(name)).rejects.toThrow(SimulatedCrash);
  };
  return { world, clock, datastore, die };
}

const unavailable = () => new N0Error("unavailable", "the node does not answer");
const undos = (log: readonly string[]) => log.filter((line) => line.startsWith("undo"));

test("an undo is repeated for hours while the node is away, holds its locks, and then succeeds", async () => {
  const { world, clock } = await newWorld();
  await using _ = world;
  const before = await world.residue();
  let isAway = false;
  world.node.trouble = (line) => {
    if (line === "act toy.paint_thing") isAway = true;
    if (isAway) throw unavailable();
  };
  const failed = world.create("mine").catch((reason: unknown) => reason);
  await clock.advance(10_000);
  expect(await failed).toMatchObject({
    kind: "unavailable",
    facts: { rollback: "going_on", transactionId: expect.any(String) },
  });
  await clock.advance(6 * 3_600_000);
  expect(await world.headers()).toMatchObject([
    { state: "unwinding", error: expect.stringContaining("toy.paint_thing: the node") },
  ]);
  await expect(world.locks.acquire(["toy/mine"], { action: "other" })).rejects.toThrow(
    "busy with CreateToy",
  );
  isAway = false;
  await clock.advance(5_000);
  expect(await world.residue()).toEqual(before);
  expect(await world.headers()).toMatchObject([{ state: "unwound" }]);
  expect(world.engine.openCount).toBe(0);
  expect(clock.sleepers).toBe(0);
});

test("the tries of an undo are counted, journaled ever more seldom, and known when it is done", async () => {
  let updates = 0;
  const { world, clock } = await newWorld({
    wrapJournal: (journal) => ({
      ...journal,
      update: (...given) => {
        updates += 1;
        return journal.update(...given);
      },
    }),
  });
  await using _ = world;
  let isAway = false;
  world.node.trouble = (line) => {
    if (line === "act toy.paint_thing") throw new Error("no paint");
    if (isAway && line === "undo toy.make_thing") throw unavailable();
  };
  isAway = true;
  const failed = world.create("mine").catch((reason: unknown) => reason);
  await clock.advance(3_600_000);
  await failed;
  const tries = undos(world.node.log).filter((line) => line.endsWith("make_thing")).length;
  expect(tries).toBeGreaterThan(600);
  // The first of the unwind, then one at each doubling.
  expect(updates).toBeLessThan(16);
  const [live] = world.engine.live.all();
  expect(live?.rows[1]?.undo).toMatchObject({ tries, error: "the node does not answer" });
  expect(live?.waiting).toMatchObject({ for: "next_try", seq: 1 });
  isAway = false;
  await clock.advance(5_000);
  const rows = await world.lastSteps();
  expect(rows[2]).toMatchObject({ phase: "undone", error: "Error: no paint", undo: { tries: 1 } });
  expect(rows[1]).toMatchObject({ phase: "undone", undo: { tries: tries + 1 } });
  const { undo } = rows[1]!;
  expect(undo!.endedAtMs! - undo!.startedAtMs).toBeGreaterThan(3_500_000);
});

test("at rest a transaction tells why it failed, not what hindered its undo for a while", async () => {
  const { world, clock } = await newWorld();
  await using _ = world;
  let tries = 0;
  world.node.trouble = (line) => {
    if (line === "act toy.make_thing") throw new Error("the first reason");
    if (line === "undo toy.make_thing" && tries++ < 3) throw unavailable();
  };
  const failed = world.create("mine").catch((reason: unknown) => reason);
  await clock.advance(5_000);
  expect(await failed).toMatchObject({ facts: { rollback: "done" } });
  expect((await world.headers())[0]?.error).toBe("Error: the first reason");
});

test("what was finished after some failures bears no error", async () => {
  const { world, clock } = await newWorld();
  await using _ = world;
  let tries = 0;
  world.node.trouble = (line) => {
    if (line === "act toy.announce" && tries++ < 3) throw unavailable();
  };
  const created = world.create("mine");
  await clock.advance(5_000);
  await created;
  const [header] = await world.headers();
  expect(header).toMatchObject({ state: "done" });
  expect(header).not.toHaveProperty("error");
});

test("an undo that cannot be done needs an operator after five tries; what rests on it stays, locks go", async () => {
  const { world, clock } = await newWorld();
  await using _ = world;
  world.node.trouble = (line) => {
    if (line === "act toy.paint_thing") throw new Error("no paint");
    if (line === "undo toy.make_thing") throw new Error("it is stuck");
  };
  const failed = world.create("mine").catch((reason: unknown) => reason);
  await clock.advance(10_000);
  expect(await failed).toMatchObject({ facts: { rollback: "needs_operator" } });
  expect(undos(world.node.log)).toEqual([
    "undo toy.paint_thing",
    ...Array.from({ length: 5 }, () => "undo toy.make_thing"),
  ]);
  expect(await world.headers()).toMatchObject([
    { state: "needs_operator", error: expect.stringContaining("toy.make_thing: ") },
  ]);
  expect((await world.headers())[0]?.error).toContain("it is stuck");
  expect(await world.locks.list()).toHaveLength(0);
  expect(world.engine.openCount).toBe(0);

  world.node.trouble = () => {};
  await world.create("yours");
  // What was in its way has been repaired, so the next start brings it to rest.
  expect(await world.restart()).toBe(1);
  await world.engine.settled();
  expect((await world.headers())[0]).toMatchObject({ state: "unwound" });
});

test("a retriable step that cannot be done needs an operator, and the client is told it is committed", async () => {
  const { world, clock } = await newWorld();
  await using _ = world;
  world.node.trouble = (line) => {
    if (line === "act toy.sweep_draft") throw new Error("it is stuck");
  };
  const failed = world.create("mine").catch((reason: unknown) => reason);
  await clock.advance(10_000);
  expect(await failed).toMatchObject({
    kind: "internal",
    message: expect.stringMatching(/committed.*needs an operator/),
    facts: { rollback: "needs_operator" },
  });
  expect(undos(world.node.log)).toEqual([]);
  expect(world.node.log).not.toContain("act toy.announce");
  expect(await world.locks.list()).toHaveLength(0);
});

test("a step that this version does not know leaves only its own transaction to an operator", async () => {
  const { world, clock, die } = await newWorld();
  await using _ = world;
  await die("a");
  await die("b");
  await die("c");
  const [, { id } = { id: "" }] = await world.headers();
  await world.journal().stepStarted(id, {
    seq: 3,
    name: "toy.of_the_future",
    input: null,
    phase: "started",
    startedAtMs: 0,
  });
  expect(await world.restart()).toBe(3);
  await clock.advance(10_000);
  expect((await world.headers()).map(({ state }) => state)).toEqual([
    "unwound",
    "needs_operator",
    "unwound",
  ]);
  expect((await world.headers())[1]?.error).toContain("no step named toy.of_the_future");
  expect(await world.locks.list()).toHaveLength(0);
  expect(await world.restart(), "it is tried again at each start").toBe(1);
});

test("steps that cannot be read leave only their own transaction to an operator", async () => {
  const { world, clock, datastore, die } = await newWorld();
  await using _ = world;
  await die("a");
  await die("b");
  const [{ id } = { id: "" }] = await world.headers();
  await datastore.batch({
    puts: [{ key: `transaction_step/${id}/000001`, value: Buffer.from("{ not JSON") }],
  });
  expect(await world.restart()).toBe(2);
  await clock.advance(10_000);
  expect((await world.headers()).map(({ state }) => state)).toEqual(["needs_operator", "unwound"]);
  expect((await world.headers())[0]?.error).toContain("cannot be read");
  expect(await world.locks.list()).toHaveLength(0);
});

test("a transaction whose keys cannot be taken again does not stop the others or the start", async () => {
  const { world, clock, datastore, die } = await newWorld();
  await using _ = world;
  await die("a");
  await die("b");
  const [first, second] = await world.headers();
  await datastore.batch(
    put(transactionCollection, [second!.id], { ...second!, guards: first!.guards }),
  );
  expect(await world.restart()).toBe(2);
  await clock.advance(10_000);
  expect((await world.headers()).map(({ state }) => state)).toEqual(["unwound", "needs_operator"]);
  expect((await world.headers())[1]?.error).toContain("cannot be taken over");
});

test("while they recover, transactions hold their keys and one that waits does not hold up another", async () => {
  const { world, clock, die } = await newWorld();
  await using _ = world;
  await die("a");
  await die("b");
  let isAway = true;
  world.node.trouble = (line) => {
    if (isAway && line === "undo toy.paint_thing" && world.node.log.length % 2 === 1) {
      throw unavailable();
    }
  };
  expect(await world.restart()).toBe(2);
  await expect(world.locks.acquire(["toy/a"], { action: "other" })).rejects.toThrow(
    "busy with CreateToy",
  );
  await expect(world.locks.acquire(["toy/b"], { action: "other" })).rejects.toThrow(
    "busy with CreateToy",
  );
  await clock.advance(20);
  expect((await world.headers()).map(({ state }) => state).toSorted()).toEqual([
    "unwinding",
    "unwound",
  ]);
  isAway = false;
  await clock.advance(10_000);
  expect((await world.headers()).map(({ state }) => state)).toEqual(["unwound", "unwound"]);
});

test("a graceful stop ends the waiting and marks nothing, and the next process goes on", async () => {
  const { world, clock } = await newWorld();
  await using _ = world;
  const before = await world.residue();
  let isAway = true;
  world.node.trouble = (line) => {
    if (line === "act toy.paint_thing") throw new Error("no paint");
    if (isAway && line === "undo toy.make_thing") throw unavailable();
  };
  const failed = world.create("mine").catch((reason: unknown) => reason);
  await clock.advance(1_000);
  await world.stop();
  expect(await failed).toMatchObject({ facts: { rollback: "going_on" } });
  expect(await world.headers()).toMatchObject([{ state: "unwinding" }]);
  expect(clock.sleepers).toBe(0);
  isAway = false;
  expect(await world.restart()).toBe(1);
  await world.engine.settled();
  expect(await world.residue()).toEqual(before);
});

test("a graceful stop ends an act that listens, and it is undone by the next process or this one", async () => {
  const { world } = await newWorld();
  await using _ = world;
  const before = await world.residue();
  world.node.trouble = (line, signal) => {
    if (line !== "act toy.paint_thing") return;
    setImmediate(() => void world.stop());
    return untilAborted(signal);
  };
  await expect(world.create("mine")).rejects.toThrow();
  world.node.trouble = () => {};
  await world.restart();
  await world.engine.settled();
  expect(await world.residue()).toEqual(before);
  expect(await world.journal().listOpen()).toEqual([]);
});

test("nothing begins or goes on once the process is ending", async () => {
  const { world } = await newWorld();
  await using _ = world;
  await world.stop();
  await expect(world.create("mine")).rejects.toMatchObject({ kind: "unavailable" });
  expect(world.node.log.filter((line) => line.startsWith("act"))).toEqual([]);
});

type Call = "begin" | "stepStarted" | "stepUndone" | "commit" | "retriableDone" | "update";

/** A journal that refuses the `first`th to `last`th call of this kind. */
function refusing(method: Call, first: number, last = first) {
  let calls = 0;
  const guard = () => {
    calls += 1;
    if (calls >= first && calls <= last) throw new N0Error("unavailable", "the disk is full");
  };
  return (journal: Journal<Writes>): Journal<Writes> => ({
    ...journal,
    [method]: async (...given: never[]) => {
      guard();
      return await (journal[method] as (...given: never[]) => Promise<number>)(...given);
    },
  });
}

test.for([
  ["begin", 1],
  ["stepStarted", 1],
  ["stepStarted", 3],
  ["commit", 1],
] as const)(
  "a journal that cannot write %s number %i fails the request, whole",
  async ([method, n]) => {
    const { world, clock } = await newWorld({ wrapJournal: refusing(method, n) });
    await using _ = world;
    const before = await world.residue();
    const failed = world.create("mine").catch((reason: unknown) => reason);
    await clock.advance(1_000);
    expect(await failed).toMatchObject({ kind: "unavailable", message: "the disk is full" });
    expect(await world.residue()).toEqual(before);
    const started = world.node.log.filter((line) => line.startsWith("act"));
    expect(started).toHaveLength(method === "commit" ? 3 : n - 1);
    await world.create("mine");
  },
);

test.for(["stepUndone", "update"] as const)(
  "a journal that cannot write %s for minutes delays the unwind, no more",
  async (method) => {
    const { world, clock } = await newWorld({ wrapJournal: refusing(method, 1, 20) });
    await using _ = world;
    const before = await world.residue();
    world.node.trouble = (line) => {
      if (line === "act toy.paint_thing") throw new Error("no paint");
    };
    const failed = world.create("mine").catch((reason: unknown) => reason);
    await clock.advance(10_000);
    expect(await failed).toMatchObject({ facts: { rollback: "going_on" } });
    await clock.advance(200_000);
    expect(await world.residue()).toEqual(before);
    expect(await world.headers()).toMatchObject([{ state: "unwound" }]);
  },
);

test.for(["retriableDone", "update"] as const)(
  "a journal that cannot write %s for minutes delays the finish, no more",
  async (method) => {
    const { world, clock } = await newWorld({ wrapJournal: refusing(method, 1, 20) });
    await using _ = world;
    const created = world.create("mine");
    await clock.advance(200_000);
    expect(await created).toBe("mine");
    expect(await world.headers()).toMatchObject([{ state: "done" }]);
    expect(await world.locks.list()).toHaveLength(0);
  },
);

test("an undo is repeated as it is when it could not be journaled", async () => {
  const { world, clock } = await newWorld({ wrapJournal: refusing("stepUndone", 1) });
  await using _ = world;
  const failed = world
    .run(async (tx) => {
      await tx.run(makeThing, { name: "mine" });
      throw new Error("no");
    })
    .catch((reason: unknown) => reason);
  await clock.advance(1_000);
  await failed;
  expect(undos(world.node.log)).toEqual(["undo toy.make_thing", "undo toy.make_thing"]);
});

test("of 100 transactions that a dead process left, one stuck, 99 are recovered", async () => {
  const { world, clock, die } = await newWorld();
  await using _ = world;
  for (let i = 0; i < 100; i += 1)
    await die(`toy-${i}`, i % 2 === 0 ? "after_act" : "before_retriable", i % 2 === 0 ? 1 : 3);
  const stuck = (await world.headers()).find(({ isCommitted }) => !isCommitted);
  await world.journal().stepStarted(stuck!.id, {
    seq: 1,
    name: "toy.lost",
    input: null,
    phase: "started",
    startedAtMs: 0,
  });
  expect(await world.restart()).toBe(100);
  // A hundred go on in more turns of the event loop than this clock waits at a time.
  for (let second = 0; second < 60; second++) await clock.advance(1_000);
  const states = Map.groupBy(await world.headers(), ({ state }) => state);
  expect([states.get("unwound")?.length, states.get("done")?.length]).toEqual([49, 50]);
  expect(states.get("needs_operator")).toMatchObject([{ id: stuck!.id }]);
  expect(await world.locks.list()).toHaveLength(0);
});
