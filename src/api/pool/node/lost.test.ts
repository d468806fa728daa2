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
import { newShiftingClock, type ShiftingClock } from "../../../../test/shifting-clock.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import { BlockStorage_BlockStorageState as DiskState } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { stepRegistryOf } from "../../core/resource/resource.ts";
import { resources } from "../../resources.ts";
import { computes, storages } from "../inventory/collection.ts";

const name = "node-1";
const size = { requestBytes: GiB, limitBytes: 2n * GiB };
const on = (node: string) => ({ annotations: { [REQUEST_NODE]: node } });

/** Ends the machine for good, and waits until that is noticed. */
async function silence(world: World, clock: ShiftingClock): Promise<void> {
  world.fakeNodes[0]!.isDown = true;
  clock.shiftMs(20_000);
  for (const node of (await world.nodes.listNodes({})).nodes) {
    if (node.name !== name) await world.nodes.heartbeatNode({ name: node.name });
  }
}

async function lose(world: World, clock: ShiftingClock): Promise<void> {
  await silence(world, clock);
  await world.nodes.setNodeLost({ name, lost: true });
  await world.seen();
}

test("only a NOT_READY node can be lost, and while it is, it cannot come back by itself", async () => {
  const clock = newShiftingClock();
  await using world = await newWorld({ clock });
  const before = await world.residue();
  expect(await refused(world.nodes.setNodeLost({ name: "none", lost: true }))).toMatchObject({
    code: "NotFound",
  });
  expect(await refused(world.nodes.setNodeLost({ name, lost: true }))).toMatchObject({
    code: "FailedPrecondition",
    message: expect.stringContaining("turn it off first"),
  });
  expect(await world.residue()).toEqual(before);

  await lose(world, clock);
  expect(await world.nodes.getNode({ name })).toMatchObject({ lost: true });
  const { address } = world.fakeNodes[0]!;
  for (const call of [
    () => world.nodes.heartbeatNode({ name }),
    () => world.nodes.applyNode({ name, address }),
  ]) {
    expect(await refused(call())).toMatchObject({
      code: "FailedPrecondition",
      message: expect.stringContaining("n0cli node found node-1"),
    });
  }
  await world.nodes.setNodeLost({ name, lost: false });
  world.fakeNodes[0]!.isDown = false;
  await world.nodes.heartbeatNode({ name });
  expect(await world.residue()).toEqual(before);
});

test("what waited for a lost node comes to rest: a creation unwinds, a deletion is finished", async () => {
  const clock = newShiftingClock();
  await using world = await newWorld({ clock });
  await prepareDisk(world);
  await world.blockStorages.createBlockStorage({ name: "old", ...size });
  const before = await world.residue();
  await world.virtualMachines.createVirtualMachine(webRequest("gone", ["old"]));
  world.faults = ({ kind, point, step }) => {
    if (point === "after_commit" && kind === "DeleteVirtualMachine")
      world.fakeNodes[0]!.isDown = true;
    if (point === "after_act" && step === "domain.start_new") world.fakeNodes[0]!.isDown = true;
  };
  // Time enough to get there, also for a busy machine.
  const call = { timeoutMs: 2_000 };
  await refused(world.virtualMachines.deleteVirtualMachine({ name: "gone" }, call));
  world.fakeNodes[0]!.isDown = false;
  await refused(world.virtualMachines.createVirtualMachine(webRequest(), call));
  world.faults = () => {};
  await lose(world, clock);
  const records = async () => {
    const { [`node//${name}`]: _, ...rest } = (await world.residue()).records;
    return rest;
  };
  const { [`node//${name}`]: _, ...expected } = before.records;
  await expect.poll(records, { timeout: 20_000 }).toEqual(expected);
});

test("objects of a lost node are deleted one by one, without waiting for it", async () => {
  const clock = newShiftingClock();
  await using world = await newWorld({ clock });
  await prepareDisk(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
  await lose(world, clock);
  await world.virtualMachines.deleteVirtualMachine({ name: "web" });
  await world.blockStorages.deleteBlockStorage({ name: "root" });
  await world.blockStorages.purgeBlockStorage({ name: "root" });
  await world.nodes.deleteNode({ name });
  expect((await world.nodes.listNodes({})).nodes).toEqual([]);
});

test("a lost node is deleted with its objects, and no other object changes", async () => {
  const clock = newShiftingClock();
  await using world = await newWorld({ clock, nodeCount: 2 });
  await world.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24" });
  await world.blockStorages.createBlockStorage({ name: "theirs", ...size, ...on("node-2") });
  await world.virtualMachines.createVirtualMachine(webRequest("theirs", ["theirs"]));
  const before = await world.residue();
  await world.blockStorages.createBlockStorage({ name: "root", ...size, ...on(name) });
  await world.virtualMachines.createVirtualMachine(webRequest());
  await world.blockStorages.createBlockStorage({ name: "free", ...size, ...on(name) });
  await prepareImage(world);
  await world.nodes.reserveCompute({
    nodeName: name,
    computeName: "by-hand",
    requestCpuMilliCore: 1,
    requestMemoryBytes: GiB,
  });

  const early = await world.residue();
  expect(await refused(world.nodes.deleteNode({ name, withObjects: true }))).toMatchObject({
    code: "FailedPrecondition",
    message: expect.stringContaining("n0cli node lost node-1"),
  });
  expect(await world.residue()).toEqual(early);
  await lose(world, clock);
  await world.nodes.deleteNode({ name, withObjects: true });
  const { records, nodes, locks } = await world.residue();
  const { [`node//${name}`]: _, ...expected } = before.records;
  const { "image/default/debian": image, ...rest } = records;
  expect(rest).toEqual(expected);
  expect(image).toBeDefined();
  expect(await world.images.getImage({ name: "debian" })).toMatchObject({
    registeredBlockStorages: [],
    tags: {},
  });
  expect(nodes[1]).toEqual(before.nodes[1]);
  expect(locks).toBe(0);
});

test("what is on a lost node goes with it, even if its reservations there are lost", async () => {
  const clock = newShiftingClock();
  await using world = await newWorld({ clock, nodeCount: 2 });
  await world.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24" });
  await world.blockStorages.createBlockStorage({ name: "root", ...size, ...on(name) });
  await world.virtualMachines.createVirtualMachine(webRequest());
  const { datastore } = world.opened.api;
  for (const of of [computes, storages]) {
    const deletes = (await datastore.list(of.under(name))).map(({ key }) => key);
    expect(deletes).toHaveLength(1);
    await datastore.batch({ deletes });
  }
  await lose(world, clock);
  await world.nodes.deleteNode({ name, withObjects: true });
  expect((await world.virtualMachines.listVirtualMachines({})).virtualMachines).toEqual([]);
  expect((await world.blockStorages.listBlockStorages({})).blockStorages).toEqual([]);
});

test("a base goes on where another node has a copy of it", async () => {
  const clock = newShiftingClock();
  await using world = await newWorld({ clock, nodeCount: 2 });
  await prepareImage(world);
  const generate = (disk: string, node: string) =>
    world.images.generateBlockStorage({
      imageName: "debian",
      tag: "12",
      blockStorageName: disk,
      ...size,
      ...on(node),
    });
  await generate("here", name);
  const there = await generate("there", "node-2");
  await lose(world, clock);
  await world.nodes.deleteNode({ name, withObjects: true });

  expect(await world.blockStorages.getBlockStorage({ name: "there" })).toEqual(there);
  expect(await world.blockStorages.getBlockStorage({ name: "base" })).toMatchObject({
    nodeName: "node-2",
    volumeId: there.baseVolumeId,
    state: DiskState.PROTECTED,
  });
  expect((await refused(world.blockStorages.getBlockStorage({ name: "here" }))).code).toBe(
    "NotFound",
  );
  const newer = await generate("newer", "node-2");
  expect(newer.baseVolumeId).toBe(there.baseVolumeId);

  // Nothing of it is kept by mistake: all of it can be removed, and then nothing is there.
  await world.images.deleteImage({ name: "debian" });
  for (const disk of ["there", "newer", "base"]) {
    await world.blockStorages.deleteBlockStorage({ name: disk });
    await world.blockStorages.purgeBlockStorage({ name: disk });
  }
  const { records, nodes } = await world.residue();
  expect(Object.keys(records)).toEqual(["node//node-2"]);
  expect(nodes[1]).toMatchObject({ volumes: {} });
  await world.nodes.deleteNode({ name: "node-2" });
});

test.for([
  ["carries disks", true],
  ["carries none any more", false],
] as const)(
  "a base whose only copy is on another lost node goes with that if it %s",
  async ([, isCarrier]) => {
    const clock = newShiftingClock();
    await using world = await newWorld({ clock, nodeCount: 3 });
    await prepareImage(world);
    const copy = { imageName: "debian", tag: "12", blockStorageName: "there", ...size };
    await world.images.generateBlockStorage({ ...copy, ...on("node-2") });
    if (!isCarrier) {
      await world.blockStorages.deleteBlockStorage({ name: "there" });
      await world.blockStorages.purgeBlockStorage({ name: "there" });
    }
    for (const node of world.fakeNodes.slice(0, 2)) node.isDown = true;
    clock.shiftMs(20_000);
    await world.nodes.heartbeatNode({ name: "node-3" });
    for (const lost of [name, "node-2"]) await world.nodes.setNodeLost({ name: lost, lost: true });

    await world.nodes.deleteNode({ name, withObjects: true });
    const { blockStorages } = await world.blockStorages.listBlockStorages({});
    const places = blockStorages.map((disk) => [disk.name, disk.nodeName]);
    expect(places).toEqual(
      isCarrier
        ? [
            ["base", "node-2"],
            ["there", "node-2"],
          ]
        : [],
    );
    await world.nodes.deleteNode({ name: "node-2", withObjects: true });
    expect(Object.keys((await world.residue()).records)).toEqual([
      "image/default/debian",
      "node//node-3",
    ]);
  },
);

test.for([
  "domain.restore_seed",
  "domain.power_off",
  "domain.remove",
  "domain.grow_disk",
  "network.remove_tap",
  "network.restore",
  "network.move_tap",
  "network.sweep",
  "node.settle_rules",
  "volume.remove",
  "volume.mark",
  "volume.grow",
])("what is committed does not wait for a lost node: %s", async (step) => {
  const clock = newShiftingClock();
  await using world = await newWorld({ clock });
  await lose(world, clock);
  const { api } = world.opened;
  const place = { nodeName: name, name: "web", sizeBytes: "2" };
  const scope = { transactionId: "1", generation: 1, signal: AbortSignal.timeout(5_000) };
  await using held = await api.locks.acquire([], { action: "test" });
  await stepRegistryOf(resources).retriable(step).act({ api, held }, place, scope);
});

test("a lost node is not deleted while something there is not at rest", async () => {
  const clock = newShiftingClock();
  await using world = await newWorld({ clock });
  await prepareDisk(world);
  world.faults = ({ point, step }) => {
    if (point === "after_act" && step === "domain.start_new") world.fakeNodes[0]!.isDown = true;
  };
  // Time enough to get there, also for a busy machine.
  const call = { timeoutMs: 2_000 };
  await refused(world.virtualMachines.createVirtualMachine(webRequest(), call));
  await silence(world, clock);
  // Keeps the transaction from coming to rest.
  const gate = newGate();
  world.faults = ({ point }) => (point === "before_undo" ? gate.pass() : undefined);
  await world.nodes.setNodeLost({ name, lost: true });
  const before = await world.residue();
  expect((await refused(world.nodes.deleteNode({ name, withObjects: true }))).code).toBe("Aborted");
  expect(await world.residue()).toEqual(before);
  gate.open();
});

test("a lost node is not deleted while a disk that is being made elsewhere would have it back", async () => {
  const clock = newShiftingClock();
  await using world = await newWorld({ clock, nodeCount: 2, inMemory: true });
  await world.blockStorages.createBlockStorage({ name: "disk", ...size, ...on(name) });
  await world.blockStorages.deleteBlockStorage({ name: "disk" });
  await silence(world, clock);
  const gate = newGate();
  world.faults = async ({ point, step }) => {
    if (point !== "after_act" || step !== "volume.ensure_empty") return;
    await gate.pass();
    throw new Error("no");
  };
  const making = refused(
    world.blockStorages.createBlockStorage({ name: "disk", ...size, ...on("node-2") }),
  );
  await gate.reached;
  await world.nodes.setNodeLost({ name, lost: true });
  expect(await refused(world.nodes.deleteNode({ name, withObjects: true }))).toMatchObject({
    code: "Aborted",
    message: expect.stringContaining('block storage "disk" has something on node "node-1"'),
  });
  gate.open();
  await making;
  expect((await world.blockStorages.getBlockStorage({ name: "disk" })).nodeName).toBe(name);
  await world.nodes.deleteNode({ name, withObjects: true });
  const { records, nodes, locks } = await world.residue();
  expect([Object.keys(records), locks]).toEqual([["node//node-2"], 0]);
  expect(nodes[1]).toMatchObject({ volumes: [] });
});
