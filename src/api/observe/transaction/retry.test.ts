import { expect, test } from "vitest";
import { refused } from "../../../../test/refused.ts";
import { GiB } from "../../../../test/scenario.ts";
import { hurried, newWorld, type World } from "../../../../test/world.ts";
import {
  Phase,
  Step_State as State,
} from "../../../gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { type Clock, systemClock } from "../../../util/clock.ts";
import { N0Error } from "../../../util/errors.ts";
import { until } from "../../../util/until.ts";

const disk = { name: "disk", requestBytes: GiB, limitBytes: GiB };

/** A disk whose making failed and whose undo cannot be done, until `repair` is called. */
async function newStuckWorld() {
  const world = await newWorld({ clock: hurried, inMemory: true });
  const before = await world.residue();
  const { volume } = world.fakeNodes[0]!.drivers;
  volume.after = ({ method }) => {
    if (method === "ensureEmpty") throw new N0Error("failed_precondition", "the answer is lost");
  };
  volume.before = ({ method }) => {
    if (method === "ensureAbsent") throw new N0Error("failed_precondition", "it is mounted");
  };
  const refusal = await refused(world.blockStorages.createBlockStorage(disk));
  const repair = () => {
    volume.before = () => {};
    volume.after = () => {};
  };
  return { world, before, refusal, repair };
}

async function newest(world: World) {
  const { transactions } = await world.transactions.listTransactions({});
  const { transaction } = await world.transactions.getTransaction({ id: transactions[0]!.id });
  return transaction!;
}

test("one that needs an operator says which step, how often, and why", async () => {
  const { world, refusal } = await newStuckWorld();
  await using _ = world;
  expect(refusal.rollback).toBe("needs_operator");
  const stuck = await newest(world);
  expect(stuck).toMatchObject({
    phase: Phase.NEEDS_OPERATOR,
    error: expect.stringContaining("the answer is lost"),
    hindrance: expect.stringMatching(/^volume\.ensure_empty: .*it is mounted/),
  });
  const step = stuck.steps.find(({ name }) => name === "volume.ensure_empty");
  expect(step).toMatchObject({ state: State.FAILED, error: expect.stringContaining("is lost") });
  expect(step?.undo).toMatchObject({ tries: 5, error: expect.stringContaining("it is mounted") });
  expect(step?.undo?.duration).toBeUndefined();
});

test("retried after the cause is gone it is undone, and nothing is left", async () => {
  const { world, before, repair } = await newStuckWorld();
  await using _ = world;
  const { id } = await newest(world);
  repair();
  const { transaction } = await world.transactions.retryTransaction({ id });
  expect(transaction).toMatchObject({
    phase: Phase.UNDONE,
    error: expect.stringContaining("the answer is lost"),
    hindrance: "",
  });
  const step = transaction!.steps.find(({ name }) => name === "volume.ensure_empty");
  expect(step?.undo?.tries).toBe(6);
  expect(await world.residue()).toEqual(before);
  await world.blockStorages.createBlockStorage(disk);
  // At rest there is nothing to be taken up.
  const again = await world.transactions.retryTransaction({ id });
  expect(again.transaction).toEqual((await world.transactions.getTransaction({ id })).transaction);
});

test("retried while the cause is still there it needs an operator again", async () => {
  const { world } = await newStuckWorld();
  await using _ = world;
  const { id } = await newest(world);
  const { transaction } = await world.transactions.retryTransaction({ id });
  expect(transaction?.phase).toBe(Phase.UNWINDING);
  expect(transaction?.wait?.cause).toMatchObject({
    case: "nextTry",
    value: { step: "volume.ensure_empty", node: "node-1" },
  });
  await until(async () => (await newest(world)).phase === Phase.NEEDS_OPERATOR);
  expect(await refused(world.transactions.cancelTransaction({ id }))).toMatchObject({
    code: "FailedPrecondition",
    message: expect.stringContaining("needs an operator"),
  });
  expect(await world.opened.api.locks.list()).toEqual([]);
});

test("two retries at once are one", async () => {
  const { world, before, repair } = await newStuckWorld();
  await using _ = world;
  const { id } = await newest(world);
  repair();
  const retries = Array.from({ length: 5 }, () => world.transactions.retryTransaction({ id }));
  const phases = (await Promise.all(retries)).map(({ transaction }) => transaction?.phase);
  expect(new Set(phases)).toEqual(new Set([Phase.UNDONE]));
  expect(await world.residue()).toEqual(before);
});

test("the wait for the next try of an undo is cut short", async () => {
  // Waiting takes its time here: a retry is the only way on within this test.
  const slow: Clock = {
    ...systemClock,
    sleep: (ms, signal) => systemClock.sleep(Math.min(ms * 1_000, 2 ** 31 - 1), signal),
  };
  await using world = await newWorld({ clock: slow, inMemory: true });
  const before = await world.residue();
  world.fakeNodes[0]!.isDown = true;
  world.blockStorages.createBlockStorage(disk).catch(() => undefined);
  await until(async () => (await newest(world)).wait?.cause.case === "nextTry");
  const waiting = await newest(world);
  expect(waiting).toMatchObject({
    phase: Phase.UNWINDING,
    wait: {
      since: {},
      cause: { value: { step: "volume.ensure_empty", node: "node-1", nextTryAt: {} } },
    },
    hindrance: expect.stringContaining('node "node-1"'),
  });
  const { id } = waiting;
  const failed = (await world.transactions.retryTransaction({ id })).transaction;
  expect(failed?.phase).toBe(Phase.UNWINDING);
  const undo = failed?.steps.find(({ name }) => name === "volume.ensure_empty")?.undo;
  expect(undo?.tries).toBe(2);
  world.fakeNodes[0]!.isDown = false;
  expect((await world.transactions.retryTransaction({ id })).transaction?.phase).toBe(Phase.UNDONE);
  expect(await world.residue()).toEqual(before);
});

test("the number of tries outlives the process", async () => {
  const { world, repair } = await newStuckWorld();
  await using _ = world;
  await world.restart();
  await until(async () => (await newest(world)).phase === Phase.NEEDS_OPERATOR);
  const stuck = (await newest(world)).steps.find(({ name }) => name === "volume.ensure_empty");
  expect(stuck?.undo?.tries).toBe(10);
  repair();
  await world.restart();
  expect((await newest(world)).phase).toBe(Phase.UNDONE);
});
