import { expect, test } from "vitest";
import { newFakeClock } from "../../test/fake-clock.ts";
import { refused } from "../../test/refused.ts";
import { GiB } from "../../test/scenario.ts";
import { hurried, newWorld } from "../../test/world.ts";
import { HUNG_AFTER_MS } from "../agent/running-work.ts";
import { Phase } from "../gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { until } from "../util/until.ts";

const disk = { name: "disk", requestBytes: GiB, limitBytes: GiB };

test("a driver that ignores its signal: the undo needs an operator, until the agent is restarted", async () => {
  const nodeClock = newFakeClock();
  await using world = await newWorld({ clock: hurried, nodeClock, inMemory: true });
  const before = await world.residue();
  const node = world.fakeNodes[0]!;
  const { volume } = node.drivers;
  const reached = Promise.withResolvers<void>();
  const killed = Promise.withResolvers<never>();
  volume.before = async ({ method }) => {
    if (method !== "ensureEmpty") return;
    reached.resolve();
    await killed.promise;
  };
  const cancel = new AbortController();
  const creating = refused(world.blockStorages.createBlockStorage(disk, { signal: cancel.signal }));
  await reached.promise;
  cancel.abort();
  await creating;

  const newest = async () => {
    const { transactions } = await world.transactions.listTransactions({});
    return (await world.transactions.getTransaction({ id: transactions[0]!.id })).transaction!;
  };
  // The undo waits behind the work that it undoes.
  await until(async () => nodeClock.sleepers > 0);
  expect((await newest()).phase).toBe(Phase.UNWINDING);
  await nodeClock.advance(HUNG_AFTER_MS);
  await until(async () => (await newest()).phase === Phase.NEEDS_OPERATOR);
  const { id, hindrance } = await newest();
  expect(hindrance).toMatch(
    /^volume\.ensure_empty: .*node "node-1": work on volume\/\S+ hangs in the agent since \S+: restart/,
  );
  await world.transactions.retryTransaction({ id });
  await until(async () => (await newest()).phase === Phase.NEEDS_OPERATOR);

  const restarted = node.restart();
  killed.reject(new Error("the agent was killed"));
  await restarted;
  volume.before = () => {};
  const { transaction } = await world.transactions.retryTransaction({ id });
  expect(transaction?.phase).toBe(Phase.UNDONE);
  expect(await world.residue()).toEqual(before);
  await world.blockStorages.createBlockStorage(disk);
});
