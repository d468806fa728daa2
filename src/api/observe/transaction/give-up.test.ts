import { expect, test } from "vitest";
import { refused } from "../../../../test/refused.ts";
import { GiB, prepareDisk, webRequest } from "../../../../test/scenario.ts";
import { hurried, newWorld, type World } from "../../../../test/world.ts";
import { AuditService } from "../../../gen/n0stack/audit/v1alpha1/audit_pb.ts";
import { BlockStorage_BlockStorageState as DiskState } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { Phase } from "../../../gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { SimulatedCrash } from "../../../transaction/faults.ts";
import { N0Error } from "../../../util/errors.ts";
import { until } from "../../../util/until.ts";

const disk = { name: "disk", requestBytes: GiB, limitBytes: GiB };
const mounted = () =>
  new N0Error("failed_precondition", "it cannot be removed", {
    cause: new Error("Command failed: qemu-img resize a.qcow2\nqemu-img: File too large\n"),
  });

/** A disk whose making failed and whose file the node does not remove. */
async function newStuckWorld() {
  const world = await newWorld({ clock: hurried, inMemory: true });
  const { volume } = world.fakeNodes[0]!.drivers;
  volume.after = ({ method }) => {
    if (method === "ensureEmpty") throw new N0Error("failed_precondition", "the answer is lost");
  };
  volume.before = ({ method }) => {
    if (method === "ensureAbsent") throw mounted();
  };
  const refusal = await refused(world.blockStorages.createBlockStorage(disk));
  volume.before = volume.after = () => {};
  return { world, refusal, id: await newestId(world) };
}

async function newestId(world: World): Promise<string> {
  return (await world.transactions.listTransactions({})).transactions[0]!.id;
}

async function findings(world: World) {
  return (await world.verify.verify({})).findings.map(({ code }) => code);
}

test("whoever is told of a needed operator reads the last words of the node", async () => {
  const { world, refusal, id } = await newStuckWorld();
  await using _ = world;
  expect(refusal.message).toBe(
    'node "node-1": the answer is lost; undoing it failed: volume.ensure_empty: qemu-img: File too large',
  );
  const { transaction } = await world.transactions.getTransaction({ id });
  expect(transaction?.hindrance).toContain("qemu-img: File too large");
});

test("a step that is given up is skipped; what it leaves is told before and found by verify", async () => {
  const { world, id } = await newStuckWorld();
  await using _ = world;
  const { transaction: stuck } = await world.transactions.getTransaction({ id });
  const step = stuck?.steps.find(({ name }) => name === "volume.ensure_empty");
  expect(step?.leaves).toMatch(/^the file of volume "disk\..*" on node "node-1"$/);
  expect(await findings(world)).toEqual(["transaction.needs_operator"]);

  const given = await world.transactions.giveUpTransaction({ id, step: "volume.ensure_empty" });
  expect(given.transaction).toMatchObject({ phase: Phase.UNDONE, hindrance: "" });
  const skipped = given.transaction?.steps.find(({ name }) => name === "volume.ensure_empty");
  expect(skipped).toMatchObject({ leaves: "", givenUp: { leaves: step?.leaves } });
  expect(await findings(world)).toEqual(["volume.without_record"]);
  const { events } = await world.client(AuditService).listAuditEvents({ pageSize: 1 });
  expect(events).toMatchObject([
    {
      rpc: "GiveUpTransaction",
      asker: { principal: "administrator" },
      resources: [`transaction/${id}`],
      place: "project/default",
    },
  ]);
  expect(await world.opened.api.locks.list()).toEqual([]);
  // Its name and its bytes are free, and it stays given up over a restart.
  await world.restart();
  await world.blockStorages.createBlockStorage(disk);
  expect((await world.transactions.getTransaction({ id })).transaction).toEqual(given.transaction);
});

test("a step after the pivot that is given up counts as done", async () => {
  await using world = await newWorld({ clock: hurried, inMemory: true });
  await prepareDisk(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
  const { compute } = world.fakeNodes[0]!.drivers;
  compute.faults.set("ensureAbsent", { when: "before", what: mounted() });
  const refusal = await refused(world.virtualMachines.deleteVirtualMachine({ name: "web" }));
  expect(refusal.message).toMatch(
    /^DeleteVirtualMachine is committed, but finishing it failed: domain\.remove: qemu-img: File too large; transaction .* needs an operator$/,
  );
  const { transaction } = await world.transactions.giveUpTransaction({ id: await newestId(world) });
  expect(transaction?.phase).toBe(Phase.DONE);
  compute.faults.clear();
  const { state } = await world.blockStorages.getBlockStorage({ name: "root" });
  expect(state).toBe(DiskState.AVAILABLE);
  expect(await findings(world)).toContain("domain.without_vm");
});

test("a process that dies when it has given a step up goes on without it at its next start", async () => {
  const { world, id } = await newStuckWorld();
  await using _ = world;
  world.faults = ({ point }) => {
    if (point === "before_unwind") throw new SimulatedCrash("injected");
  };
  await world.transactions.giveUpTransaction({ id }).catch(() => undefined);
  const undone = new Set<string>();
  await world.restart(({ point, step }) => {
    if (point === "before_undo") undone.add(step);
  });
  expect(undone).toEqual(new Set(["node.reserve_storage", "block_storage.put_record"]));
  const { transaction } = await world.transactions.getTransaction({ id });
  expect(transaction?.phase).toBe(Phase.UNDONE);
  expect(await findings(world)).toEqual(["volume.without_record"]);
});

test("only what needs an operator, and the step that hinders it, can be given up", async () => {
  const { world, id } = await newStuckWorld();
  await using _ = world;
  const before = (await world.transactions.getTransaction({ id })).transaction;
  const { transactions } = world;
  expect(await refused(transactions.giveUpTransaction({ id: "0" }))).toMatchObject({
    code: "NotFound",
  });
  expect(await refused(transactions.giveUpTransaction({ id, step: "tap.remove" }))).toMatchObject({
    code: "FailedPrecondition",
    message: expect.stringContaining("step volume.ensure_empty hinders it by now, not tap.remove"),
  });
  expect((await transactions.getTransaction({ id })).transaction).toEqual(before);
  await transactions.giveUpTransaction({ id });
  expect(await refused(transactions.giveUpTransaction({ id }))).toMatchObject({
    code: "FailedPrecondition",
    message: expect.stringContaining("needs an operator can be given up"),
  });
});

test("a step that only writes records cannot be given up", async () => {
  await using world = await newWorld({ clock: hurried, inMemory: true });
  world.faults = ({ point, step }) => {
    if (point === "after_act" && step === "volume.ensure_empty") throw new Error("injected");
    if (point === "before_undo" && step === "node.reserve_storage") throw new Error("injected");
  };
  await refused(world.blockStorages.createBlockStorage(disk));
  world.faults = () => {};
  const id = await newestId(world);
  expect(await refused(world.transactions.giveUpTransaction({ id }))).toMatchObject({
    code: "FailedPrecondition",
    message: expect.stringContaining("node.reserve_storage only writes records"),
  });
  await world.transactions.retryTransaction({ id });
  await until(async () => world.opened.api.engine.openCount === 0);
  expect((await world.transactions.getTransaction({ id })).transaction?.phase).toBe(Phase.UNDONE);
});
