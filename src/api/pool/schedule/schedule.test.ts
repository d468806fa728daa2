import { expect, test } from "vitest";
import { refused } from "../../../../test/refused.ts";
import { GiB, prepareDisk, REQUEST_NODE, webRequest } from "../../../../test/scenario.ts";
import { newShiftingClock } from "../../../../test/shifting-clock.ts";
import { newWorld } from "../../../../test/world.ts";
import { Node_NodeState } from "../../../gen/n0stack/pool/v0/node_pb.ts";
import { REQUEST_NODE_OF_VIRTUAL_MACHINE } from "../../core/annotations.ts";

const compute = {
  computeName: "c",
  requestCpuMilliCore: 1_000,
  limitCpuMilliCore: 1_000,
  requestMemoryBytes: GiB,
  limitMemoryBytes: GiB,
};
const storage = { storageName: "s", requestBytes: GiB, limitBytes: GiB };
const vm = { ...webRequest("vm", []), nics: [] };

test("the least used node is chosen, and of equals the first name", async () => {
  await using world = await newWorld({ nodeCount: 3 });
  const before = await world.residue();
  expect((await world.nodes.scheduleCompute(compute)).name).toBe("node-1");
  expect((await world.nodes.scheduleStorage(storage)).name).toBe("node-1");
  expect(await world.residue()).toEqual(before);

  await world.nodes.reserveCompute({ ...compute, nodeName: "node-1" });
  await world.nodes.reserveStorage({ ...storage, nodeName: "node-1" });
  expect((await world.nodes.scheduleCompute(compute)).name).toBe("node-2");
  expect((await world.nodes.scheduleStorage(storage)).name).toBe("node-2");
});

test("the scarcest of what is asked decides what is least used", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  const large = { ...compute, requestMemoryBytes: 200n * GiB, limitMemoryBytes: 200n * GiB };
  await world.nodes.reserveCompute({ ...large, nodeName: "node-1" });
  const many = { ...compute, requestCpuMilliCore: 30_000, limitCpuMilliCore: 30_000 };
  await world.nodes.reserveCompute({ ...many, nodeName: "node-2" });
  expect((await world.nodes.scheduleCompute(compute)).name).toBe("node-2");
});

test("each node is said why it does not fit", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  await world.nodes.applyNode({
    name: "node-2",
    address: "node-2:20181",
    cpuMilliCores: 64_000,
    memoryBytes: GiB,
    storageBytes: GiB,
  });
  const asked = { requestCpuMilliCore: 64_001, requestMemoryBytes: 2n * GiB };
  const refusal = await refused(
    world.nodes.scheduleCompute({
      ...compute,
      ...asked,
      limitCpuMilliCore: 0,
      limitMemoryBytes: 0n,
    }),
  );
  expect(refusal.code).toBe("ResourceExhausted");
  expect(refusal.message).toMatch(/node-1: cpu_milli_core: 64000 of 64000 free.*; node-2: cpu_/);
  const storageRefusal = await refused(
    world.nodes.scheduleStorage({ ...storage, requestBytes: 8192n * GiB, limitBytes: 0n }),
  );
  expect(storageRefusal.message).toContain("(2 without room)");
  expect(storageRefusal.message).toMatch(/node-1: storage_bytes: .*; node-2: storage_bytes: /);
});

test("what fits is told to the byte, also where a number is too coarse for that", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const storageBytes = 2n ** 60n + 1n;
  const node = { name: "node-1", address: "node-1:20181", cpuMilliCores: 1_000, memoryBytes: GiB };
  await world.nodes.applyNode({ ...node, storageBytes });
  const schedule = (requestBytes: bigint) =>
    world.nodes.scheduleStorage({ ...storage, requestBytes, limitBytes: 0n });
  expect((await schedule(storageBytes)).name).toBe("node-1");
  const refusal = await refused(schedule(storageBytes + 1n));
  expect(refusal.message).toContain(`${storageBytes} free, ${storageBytes + 1n} requested`);
  // What is asked of in full asks for nothing more of the rest.
  await world.nodes.reserveCompute({ ...compute, nodeName: "node-1" });
  expect((await schedule(storageBytes)).name).toBe("node-1");
});

test("a refusal says how many nodes were left out for what", async () => {
  const clock = newShiftingClock();
  await using world = await newWorld({ nodeCount: 3, clock });
  clock.shiftMs(15_001);
  await world.nodes.heartbeatNode({ name: "node-3" });
  const refusal = await refused(
    world.nodes.scheduleStorage({ ...storage, requestBytes: 8192n * GiB, limitBytes: 0n }),
  );
  expect(refusal.message).toContain(
    'no node fits storage "s" (2 NOT_READY, 1 without room): node-1: NOT_READY; node-2: NOT_READY; node-3: storage_bytes: ',
  );
});

test("where there is no node, one is asked for", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  expect(await refused(world.nodes.scheduleCompute(compute))).toMatchObject({
    code: "FailedPrecondition",
    message: expect.stringContaining("start an agent"),
  });
});

test("a node that is not heard for 15 s is NOT_READY and gets nothing", async () => {
  const clock = newShiftingClock();
  await using world = await newWorld({ nodeCount: 2, clock });
  clock.shiftMs(15_001);
  await world.nodes.heartbeatNode({ name: "node-2" });
  expect((await world.nodes.listNodes({})).nodes.map(({ state }) => state)).toEqual([2, 1]);
  expect((await world.nodes.scheduleCompute(compute)).name).toBe("node-2");

  const pinned = { [REQUEST_NODE_OF_VIRTUAL_MACHINE]: "node-1" };
  expect(
    await refused(world.virtualMachines.createVirtualMachine({ ...vm, annotations: pinned })),
  ).toMatchObject({ code: "Unavailable", retryAfterMs: 5_000 });

  clock.shiftMs(15_001);
  const refusal = await refused(world.nodes.scheduleCompute(compute));
  expect(refusal.message).toContain(
    'compute "c" (2 NOT_READY): node-1: NOT_READY; node-2: NOT_READY',
  );
  await world.nodes.heartbeatNode({ name: "node-1" });
  expect((await world.nodes.scheduleCompute(compute)).name).toBe("node-1");
});

test("silence is not told by the wall clock, which somebody may set", async () => {
  const clock = newShiftingClock();
  await using world = await newWorld({ nodeCount: 1, clock });
  const state = async () => (await world.nodes.getNode({ name: "node-1" })).state;

  clock.setWallMs(clock.nowMs() + 3_600_000);
  expect(await state()).toBe(Node_NodeState.READY);
  clock.setWallMs(clock.nowMs() - 7_200_000);
  await world.nodes.heartbeatNode({ name: "node-1" });
  await world.seen();
  clock.shiftMs(15_001);
  expect(await state()).toBe(Node_NodeState.NOT_READY);
});

test("a node that reserves limits is not chosen for limits that do not fit there", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const size = { cpuMilliCores: 4_000, memoryBytes: 4n * GiB, storageBytes: 4n * GiB };
  const address = "node-1:20181";
  await world.nodes.applyNode({ name: "a-strict", address, ...size, reserveLimits: true });
  await world.nodes.applyNode({ name: "b-loose", address, ...size });
  const wide = { ...compute, limitCpuMilliCore: 8_000 };
  expect((await world.nodes.scheduleCompute(wide)).name).toBe("b-loose");
  const deep = { ...storage, limitBytes: 8n * GiB };
  expect((await world.nodes.scheduleStorage(deep)).name).toBe("b-loose");
});

test("virtual machines and disks spread, also those that are made at the same time", async () => {
  await using world = await newWorld({ nodeCount: 4 });
  const made = await Promise.all(
    Array.from({ length: 8 }, (_, i) =>
      world.virtualMachines.createVirtualMachine({ ...vm, name: `vm-${i}` }),
    ),
  );
  const disks = await Promise.all(
    Array.from({ length: 8 }, (_, i) =>
      world.blockStorages.createBlockStorage({ ...storage, name: `disk-${i}` }),
    ),
  );
  const places = [made.map((m) => m.computeNodeName), disks.map((d) => d.nodeName)];
  for (const nodeNames of places) {
    const counts = Object.values(Object.groupBy(nodeNames, (name) => name)).map((n) => n?.length);
    expect(counts).toEqual([2, 2, 2, 2]);
  }
});

test("a virtual machine lands where its disks are, however full that node is", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  await prepareDisk(world);
  await world.nodes.reserveCompute({ ...compute, nodeName: "node-1" });
  const { nodeName } = await world.blockStorages.getBlockStorage({ name: "root" });
  const made = await world.virtualMachines.createVirtualMachine(webRequest());
  expect(made.computeNodeName).toBe(nodeName);
});

test("request_node_name pins disks and virtual machines, and only to where they fit", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  const annotations = { [REQUEST_NODE_OF_VIRTUAL_MACHINE]: "node-2" };
  const pinned = await world.virtualMachines.createVirtualMachine({ ...vm, annotations });
  expect(pinned.computeNodeName).toBe("node-2");
  const disk = await world.blockStorages.createBlockStorage({
    name: "disk",
    requestBytes: GiB,
    limitBytes: GiB,
    annotations: { [REQUEST_NODE]: "node-2" },
  });
  expect(disk.nodeName).toBe("node-2");

  const before = await world.residue();
  const none = { [REQUEST_NODE_OF_VIRTUAL_MACHINE]: "node-9" };
  const field = `annotations["${REQUEST_NODE_OF_VIRTUAL_MACHINE}"]`;
  // The disk is elsewhere too, but there is no use in moving it to where no node is.
  for (const blockStorageNames of [[], ["disk"]]) {
    const missing = { ...vm, name: "missing", annotations: none, blockStorageNames };
    expect(await refused(world.virtualMachines.createVirtualMachine(missing))).toMatchObject({
      code: "NotFound",
      field,
      resource: "node/node-9",
      message: `virtual machine "missing": ${field}: node "node-9" does not exist: "n0cli node get" lists those that do`,
    });
  }
  const nowhere = { name: "x", requestBytes: GiB, annotations: { [REQUEST_NODE]: "node-9" } };
  expect(await refused(world.blockStorages.createBlockStorage(nowhere))).toMatchObject({
    code: "NotFound",
    field: `annotations["${REQUEST_NODE}"]`,
  });
  const huge = { requestMemoryBytes: 512n * GiB, limitMemoryBytes: 512n * GiB };
  expect(
    await refused(
      world.virtualMachines.createVirtualMachine({ ...vm, name: "huge", annotations, ...huge }),
    ),
  ).toMatchObject({
    code: "ResourceExhausted",
    message: expect.stringContaining("node-2: memory"),
  });
  expect(await world.residue()).toEqual(before);
});
