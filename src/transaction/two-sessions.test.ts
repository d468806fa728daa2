import { expect, test } from "vitest";
import { newFakeClock } from "../../test/fake-clock.ts";
import { newToyNode, newToyWorld, type ToyWorld } from "../../test/toy-saga.ts";
import { LockTable } from "../datastore/lock-table.ts";
import { memoryDatastore } from "../datastore/memory/memory-datastore.ts";
import { EXPIRY_MS } from "../datastore/sessions.ts";
import { FAULT_POINTS, type FaultPoint, SimulatedCrash } from "./faults.ts";

const UNWIND_POINTS: readonly FaultPoint[] = ["before_unwind", "before_undo", "after_undo"];

/** Processes that share a datastore, locks and a node. */
function newCloud() {
  const datastore = memoryDatastore();
  const clock = newFakeClock();
  const shared = { locks: new LockTable(), node: newToyNode() };
  const start = () => newToyWorld({ open: () => datastore, clock, shared });
  /** As if one had died: the others find that it is silent. */
  const silence = async (...others: ToyWorld[]) => {
    for (const { sessions } of others) await sessions.look();
    await clock.advance(EXPIRY_MS);
    for (const { sessions } of others) await sessions.beat();
  };
  return { datastore, clock, node: shared.node, start, silence };
}

type Cloud = ReturnType<typeof newCloud>;

/** A process dies at the first time that a point is reached, with its transaction in hand. */
async function die({ node }: Cloud, world: ToyWorld, at: FaultPoint): Promise<void> {
  node.trouble = (line) => {
    if (UNWIND_POINTS.includes(at) && line === "act toy.paint_thing") throw new Error("no paint");
  };
  world.faults = ({ point }) => {
    if (point === at) throw new SimulatedCrash(at);
  };
  await world.create("mine").catch(() => undefined);
  await world.engine.settled();
  node.trouble = () => {};
  node.log.length = 0;
}

async function expectWhole({ node }: Cloud, world: ToyWorld): Promise<void> {
  await world.engine.settled();
  const states = (await world.headers()).map(({ state }) => state);
  expect(["", "done", "unwound"]).toContain(states.join());
  const isMade = states.join() === "done";
  expect(node.things.has("mine")).toBe(isMade);
  expect(node.announced.has("mine")).toBe(isMade);
  expect([...node.drafts.keys()]).toEqual(["other"]);
  expect(await world.locks.list()).toEqual([]);
  expect(new Set(node.log).size).toBe(node.log.length);
}

test.each(FAULT_POINTS)(
  "of two processes one dies at %s, and the other takes over all of it once",
  async (at) => {
    const cloud = newCloud();
    const [one, two] = [await cloud.start(), await cloud.start()];
    await die(cloud, one, at);
    await cloud.silence(two);
    // Its keys stay held until then.
    await expect(two.create("mine")).rejects.toThrow("busy with CreateToy");
    expect(await two.recover()).toBe(at === "before_begin" ? 0 : 1);
    await expectWhole(cloud, two);
    expect(await two.recover()).toBe(0);
    expect(await cloud.datastore.list("session/")).toHaveLength(1);
  },
);

test.each(FAULT_POINTS)(
  "two processes try at the same time to take over what a third left at %s: one does",
  async (at) => {
    const cloud = newCloud();
    const [one, two, three] = [await cloud.start(), await cloud.start(), await cloud.start()];
    await die(cloud, one, at);
    await cloud.silence(two, three);
    const counts = await Promise.all([two.recover(), three.recover()]);
    await Promise.all([two.engine.settled(), three.engine.settled()]);
    expect(counts[0]! + counts[1]!).toBeLessThanOrEqual(1);
    await expectWhole(cloud, two);
  },
);

test("one that dies as it takes over is taken over from in turn", async () => {
  const cloud = newCloud();
  const [one, two, three] = [await cloud.start(), await cloud.start(), await cloud.start()];
  await die(cloud, one, "after_act");
  await cloud.silence(two, three);
  two.faults = ({ point }) => {
    if (point === "before_undo") throw new SimulatedCrash(point);
  };
  expect(await two.recover()).toBe(1);
  await two.engine.settled();
  expect(await three.recover()).toBe(0);
  await cloud.silence(three);
  cloud.node.log.length = 0;
  expect(await three.recover()).toBe(1);
  await expectWhole(cloud, three);
});

test("what a session that runs has in hand, or leaves to an operator, is nobody else's", async () => {
  const cloud = newCloud();
  const [one, two] = [await cloud.start(), await cloud.start()];
  const gate = Promise.withResolvers<void>();
  const acting = Promise.withResolvers<void>();
  cloud.node.trouble = (line) => {
    if (line !== "act toy.make_thing") return undefined;
    acting.resolve();
    return gate.promise;
  };
  const made = one.create("mine");
  await acting.promise;
  expect(await two.recover()).toBe(0);
  await expect(two.create("mine")).rejects.toThrow("busy with CreateToy");
  gate.resolve();
  expect(await made).toBe("mine");
});

test("of two operators who retry the same one at once in two processes one is refused", async () => {
  const cloud = newCloud();
  const [one, two] = [await cloud.start(), await cloud.start()];
  cloud.node.trouble = (line) => {
    if (line === "act toy.paint_thing" || line === "undo toy.make_thing") throw new Error("no");
  };
  const failed = one.create("mine").catch(() => undefined);
  await cloud.clock.advance(60_000);
  await failed;
  const [header] = await one.headers();
  expect(header).toMatchObject({ state: "needs_operator", session: one.sessions.id });
  cloud.node.trouble = () => {};
  cloud.node.log.length = 0;
  const answers = await Promise.allSettled([one.retry(header!.id), two.retry(header!.id)]);
  expect(answers.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
  await Promise.all([one.engine.settled(), two.engine.settled()]);
  await expectWhole(cloud, two);
});
