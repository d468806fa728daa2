import { expect, test } from "vitest";
import { blockStorageRef } from "../../../../test/refs.ts";
import { refused } from "../../../../test/refused.ts";
import { GiB, prepareDisk, webRequest } from "../../../../test/scenario.ts";
import { hurried, newWorld, type World } from "../../../../test/world.ts";
import { openCollection } from "../../../datastore/datastore-journal.ts";
import { BlockStorage_BlockStorageState as DiskState } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { VirtualMachine_VirtualMachineState as MachineState } from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { blockStorages } from "../../provisioning/block-storage/collection.ts";
import { pending } from "../../provisioning/block-storage/record.ts";

/** The disk of a virtual machine that is shut down stays PENDING: its growth can neither stand nor be undone. */
async function newStuckWorld() {
  const world = await newWorld({ clock: hurried, inMemory: true });
  await prepareDisk(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
  await world.virtualMachines.shutdownVirtualMachine({ name: "web", hard: true });
  world.faults = ({ kind, point, step }) => {
    if (kind !== "UpdateBlockStorage") return;
    if (point === "before_commit") throw new Error("injected");
    if (point === "before_undo" && step === "domain.grow_disk") throw new Error("injected");
  };
  await refused(world.blockStorages.updateBlockStorage({ name: "root", limitBytes: 20n * GiB }));
  world.faults = () => {};
  const [transaction] = (await world.transactions.listTransactions({})).transactions;
  return { world, id: transaction!.id };
}

const others: Readonly<Record<string, (world: World) => Promise<unknown>>> = {
  "a boot": ({ virtualMachines }) => virtualMachines.bootVirtualMachine({ name: "web" }),
  "a delete": ({ virtualMachines }) => virtualMachines.deleteVirtualMachine({ name: "web" }),
  "another disk list": ({ virtualMachines }) =>
    virtualMachines.updateVirtualMachine({
      name: "web",
      updateMask: { paths: ["block_storage_names"] },
    }),
  "a label": ({ blockStorages: disks }) =>
    disks.updateBlockStorage({ name: "root", labels: { a: "b" } }),
};

test.for(Object.entries(others))(
  "%s is refused while a disk is PENDING under a transaction that needs an operator",
  async ([, other]) => {
    const { world, id } = await newStuckWorld();
    await using _ = world;
    const before = await world.residue();
    expect(await refused(other(world))).toMatchObject({
      code: "FailedPrecondition",
      resource: "block_storage/root",
      message: expect.stringContaining(
        `block storage "root" is PENDING: transaction ${id} works on it`,
      ),
    });
    expect(await world.residue()).toEqual(before);
    await world.transactions.retryTransaction({ id });
    await world.opened.api.engine.settled();
    const disk = await world.blockStorages.getBlockStorage({ name: "root" });
    expect(disk).toMatchObject({ state: DiskState.IN_USE, limitBytes: 10n * GiB });
    await other(world);
  },
);

test("what is PENDING under no transaction is refused as well, and says how it is repaired", async () => {
  await using world = await newWorld({ inMemory: true });
  await prepareDisk(world);
  const { api } = world.opened;
  const root = blockStorageRef("root");
  const held = await api.locks.acquire([blockStorages.key(root)], { action: "test" });
  const { value } = (await api.records.find(blockStorages, root))!;
  await api.datastore.batch(held.put(blockStorages, root, pending(value, "0199-gone"), value));
  await held.release();
  expect(await api.records.find(openCollection, "0199-gone")).toBeUndefined();
  expect(await refused(world.blockStorages.deleteBlockStorage({ name: "root" }))).toMatchObject({
    code: "FailedPrecondition",
    message: expect.stringContaining('repair it with "n0cli verify --repair"'),
  });
});

test("a machine whose disk is PENDING can be shut down", async () => {
  const { world } = await newStuckWorld();
  await using _ = world;
  const off = await world.virtualMachines.shutdownVirtualMachine({ name: "web", hard: true });
  expect(off.state).toBe(MachineState.SHUTDOWN);
});
