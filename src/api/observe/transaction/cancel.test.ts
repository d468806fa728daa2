import { expect, test } from "vitest";
import { newGate } from "../../../../test/gate.ts";
import { refused } from "../../../../test/refused.ts";
import {
  GiB,
  prepareDisk,
  prepareImage,
  REQUEST_NODE,
  webRequest,
} from "../../../../test/scenario.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import { Phase } from "../../../gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { untilAborted } from "../../../util/race.ts";
import { until } from "../../../util/until.ts";

async function open(world: World, rpc: string) {
  const { transactions } = await world.transactions.listTransactions({ rpc, openOnly: true });
  return transactions[0];
}

async function idOf(world: World, rpc: string): Promise<string> {
  await until(async () => (await open(world, rpc)) !== undefined);
  return (await open(world, rpc))!.id;
}

test("what waits for a slow node ends at once, is undone, and its client is told by whom", async () => {
  await using world = await newWorld();
  const before = await world.residue();
  const { volume } = world.fakeNodes[0]!.drivers;
  volume.before = async ({ method, signal }) => {
    if (method === "ensureEmpty") await untilAborted(signal);
  };
  const made = refused(
    world.blockStorages.createBlockStorage({ name: "disk", requestBytes: GiB, limitBytes: GiB }),
  );
  const id = await idOf(world, "CreateBlockStorage");
  await until(async () => (await open(world, "CreateBlockStorage"))?.wait?.cause.case === "node");
  const call = { headers: { "user-agent": "canceller/1" } };
  const { transaction } = await world.transactions.cancelTransaction({ id }, call);
  expect([Phase.UNWINDING, Phase.UNDONE]).toContain(transaction?.phase);
  expect(transaction?.cancellation?.asker?.userAgent).toBe("canceller/1");
  expect(await made).toMatchObject({
    code: "Canceled",
    message: "CreateBlockStorage was cancelled on request",
    rollback: "done",
  });
  await until(() => world.opened.api.engine.openCount === 0);
  expect(await world.residue()).toEqual(before);
  const after = (await world.transactions.getTransaction({ id })).transaction;
  expect(after).toMatchObject({
    phase: Phase.UNDONE,
    error: expect.stringContaining("cancelled on request"),
    cancellation: { asker: { userAgent: "canceller/1" } },
  });
  // Once more is harmless.
  expect((await world.transactions.cancelTransaction({ id })).transaction).toEqual(after);
});

test("what waits for its keys leaves the line, and nothing of it was ever written", async () => {
  await using world = await newWorld({ inMemory: true });
  await prepareDisk(world);
  const gate = newGate();
  world.faults = ({ kind, point }) =>
    kind === "CreateVirtualMachine" && point === "before_commit" ? gate.pass() : undefined;
  const making = world.virtualMachines.createVirtualMachine(webRequest());
  await gate.reached;
  const waiting = refused(world.virtualMachines.bootVirtualMachine({ name: "web" }));
  const id = await idOf(world, "BootVirtualMachine");
  const { transaction } = await world.transactions.cancelTransaction({ id });
  expect(transaction).toMatchObject({ id, phase: Phase.UNDONE, steps: [] });
  expect(await waiting).toMatchObject({ code: "Canceled", rollback: undefined });
  expect((await refused(world.transactions.getTransaction({ id }))).code).toBe("NotFound");
  gate.open();
  await making;
  expect(await world.opened.api.locks.list()).toEqual([]);
  await world.virtualMachines.shutdownVirtualMachine({ name: "web", hard: true });
});

test("a shutdown that waits for its guest can be cancelled: the guest had the news, the record is as before", async () => {
  await using world = await newWorld({ inMemory: true });
  await world.virtualMachines.createVirtualMachine({ ...webRequest("web", []), nics: [] });
  world.fakeNodes[0]!.drivers.compute.faults.set("requestShutdown", {
    when: "before",
    what: "hang",
  });
  const stopping = refused(world.virtualMachines.shutdownVirtualMachine({ name: "web" }));
  const id = await idOf(world, "ShutdownVirtualMachine");
  await world.transactions.cancelTransaction({ id });
  expect(await stopping).toMatchObject({ code: "Canceled" });
  await until(() => world.opened.api.engine.openCount === 0);
  expect((await world.virtualMachines.getVirtualMachine({ name: "web" })).transactionId).toBe("");
});

test("what runs within one that is cancelled is stopped with it, and is shown as what it waits for", async () => {
  await using world = await newWorld({ nodeCount: 2, inMemory: true });
  await prepareImage(world);
  const before = await world.residue();
  const { volume } = world.fakeNodes[1]!.drivers;
  volume.before = async ({ method, signal }) => {
    if (method === "ensureReceived") await untilAborted(signal);
  };
  const generating = refused(
    world.images.generateBlockStorage({
      imageName: "debian",
      tag: "12",
      blockStorageName: "disk",
      requestBytes: GiB,
      limitBytes: GiB,
      annotations: { [REQUEST_NODE]: "node-2" },
    }),
  );
  await until(async () => (await open(world, "CopyBase"))?.wait?.cause.case === "node");
  const inner = (await open(world, "CopyBase"))!;
  const outer = (await open(world, "GenerateBlockStorage"))!;
  expect(outer.wait?.cause).toEqual({ case: "transactionId", value: inner.id });
  await world.transactions.cancelTransaction({ id: outer.id });
  expect(await generating).toMatchObject({ code: "Canceled" });
  await until(() => world.opened.api.engine.openCount === 0);
  expect(await world.residue()).toEqual(before);
});

test("what is committed is not cancelled, and it is told what becomes of it", async () => {
  await using world = await newWorld({ inMemory: true });
  await prepareDisk(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
  const gate = newGate();
  world.faults = ({ point }) => (point === "before_retriable" ? gate.pass() : undefined);
  const deleting = world.virtualMachines.deleteVirtualMachine({ name: "web" });
  await gate.reached;
  const id = await idOf(world, "DeleteVirtualMachine");
  expect(await refused(world.transactions.cancelTransaction({ id }))).toMatchObject({
    code: "FailedPrecondition",
    message: expect.stringContaining(
      "it is committed, so the API finishes it and cannot unwind it",
    ),
    resource: `transaction/${id}`,
  });
  gate.open();
  await deleting;
  expect((await refused(world.transactions.cancelTransaction({ id }))).message).toContain(
    "it is done",
  );
});

test("a cancel that comes while the commit is being written finds it committed", async () => {
  // The watcher is how the test knows of the moment.
  await using world = await newWorld({ inMemory: true, deliversLate: false });
  let cancelled: Promise<unknown> = Promise.resolve();
  const { datastore } = world.opened.api;
  const stop = datastore.watch("user/", await datastore.revision(), () => {
    const [live] = world.opened.api.engine.live.all();
    // The batch is written, and its writer does not know yet.
    cancelled = refused(world.transactions.cancelTransaction({ id: live!.id }));
  });
  await world.users.createUser({ name: "ann" });
  stop();
  expect(await cancelled).toMatchObject({ code: "FailedPrecondition" });
  expect((await world.users.getUser({ name: "ann" })).name).toBe("ann");
});

test("one that does not exist is not found, and what is no id is refused", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const cancel = (id: string) => refused(world.transactions.cancelTransaction({ id }));
  expect((await cancel("0-0")).code).toBe("NotFound");
  expect(await cancel("../x")).toMatchObject({ code: "InvalidArgument", field: "id" });
  expect((await refused(world.transactions.retryTransaction({ id: "0-0" }))).code).toBe("NotFound");
});
