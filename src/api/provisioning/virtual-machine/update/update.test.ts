import { expect, test } from "vitest";
import { newGate } from "../../../../../test/gate.ts";
import { refused } from "../../../../../test/refused.ts";
import {
  GiB,
  prepareDisk,
  prepareImage,
  REQUEST_NODE,
  webRequest,
} from "../../../../../test/scenario.ts";
import { newWorld, type World } from "../../../../../test/world.ts";
import { BlockStorage_BlockStorageState as DiskState } from "../../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { VirtualMachine_VirtualMachineState as State } from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { REQUEST_NODE_OF_VIRTUAL_MACHINE } from "../../../core/annotations.ts";

const name = "web";

async function shutDown(nodeCount = 1): Promise<World> {
  const world = await newWorld({ nodeCount });
  await prepareDisk(world);
  await world.blockStorages.createBlockStorage({
    name: "data",
    requestBytes: GiB,
    limitBytes: GiB,
    annotations: { [REQUEST_NODE]: "node-1" },
  });
  await world.virtualMachines.createVirtualMachine(webRequest());
  await world.virtualMachines.shutdownVirtualMachine({ name, hard: true });
  return world;
}

function domainOf(world: World) {
  return world.fakeNodes[0]!.snapshot().compute.domains[0];
}

test("labels and annotations change also while it runs, and nothing else does", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  const made = await world.virtualMachines.createVirtualMachine(webRequest());
  const { nodes } = await world.residue();
  const labelled = await world.virtualMachines.updateVirtualMachine({ name, labels: { a: "b" } });
  expect(labelled).toEqual({ ...made, labels: { a: "b" } });
  const annotated = await world.virtualMachines.updateVirtualMachine({
    name,
    annotations: { c: "d" },
  });
  expect(annotated).toEqual({ ...labelled, annotations: { c: "d" } });
  const cleared = await world.virtualMachines.updateVirtualMachine({
    name,
    updateMask: { paths: ["labels", "annotations"] },
  });
  expect(cleared).toEqual(made);
  expect((await world.residue()).nodes).toEqual(nodes);
});

test("an update keeps the node that was asked for, and moves nothing to another", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  const key = REQUEST_NODE_OF_VIRTUAL_MACHINE;
  const annotations = { [key]: "node-2" };
  const request = { ...webRequest("web", []), nics: [], annotations };
  await world.virtualMachines.createVirtualMachine(request);
  const update = (asked: Record<string, string>) =>
    world.virtualMachines.updateVirtualMachine({ name, annotations: asked });
  expect((await update({ mine: "1" })).annotations).toEqual({ ...annotations, mine: "1" });
  expect((await update({ ...annotations, mine: "2" })).annotations["mine"]).toBe("2");
  expect(await refused(update({ [key]: "node-1" }))).toMatchObject({
    code: "InvalidArgument",
    field: `annotations["${key}"]`,
  });
});

test("limits that are taken away follow from what is requested", async () => {
  await using world = await shutDown();
  const after = await world.virtualMachines.updateVirtualMachine({
    name,
    requestCpuMilliCore: 2500,
    requestMemoryBytes: 2n * GiB,
    updateMask: {
      paths: [
        "request_cpu_milli_core",
        "limit_cpu_milli_core",
        "request_memory_bytes",
        "limit_memory_bytes",
      ],
    },
  });
  expect(after).toMatchObject({ limitCpuMilliCore: 3000, limitMemoryBytes: 2n * GiB });
});

test("hardware changes when it is shut down, with what is reserved and the domain", async () => {
  await using world = await shutDown();
  const after = await world.virtualMachines.updateVirtualMachine({
    name,
    requestCpuMilliCore: 500,
    limitCpuMilliCore: 4000,
    requestMemoryBytes: 2n * GiB,
  });
  expect(after).toMatchObject({
    state: State.SHUTDOWN,
    limitCpuMilliCore: 4000,
    limitMemoryBytes: 2n * GiB,
    transactionId: "",
  });
  expect(domainOf(world)).toMatchObject({ vcpus: 4, memoryBytes: 2n * GiB, state: "shut_off" });
  const { reservedComputes } = await world.nodes.getNode({ name: "node-1" });
  expect(reservedComputes[name]).toMatchObject({
    requestCpuMilliCore: 500,
    requestMemoryBytes: 2n * GiB,
  });
  const smaller = { name, requestCpuMilliCore: 50, limitMemoryBytes: GiB };
  await world.virtualMachines.updateVirtualMachine(smaller);
  expect(await world.usedOn("node-1")).toMatchObject({
    cpuMilliCores: 50n,
    memoryBytes: GiB,
  });
  await world.virtualMachines.bootVirtualMachine({ name });
});

test("disks come and go, and each is claimed by at most one", async () => {
  await using world = await shutDown();
  const diskState = async (disk: string) =>
    (await world.blockStorages.getBlockStorage({ name: disk })).state;
  await world.virtualMachines.updateVirtualMachine({ name, blockStorageNames: ["data", "root"] });
  expect(domainOf(world)?.diskPaths.slice(0, 2)).toEqual([
    expect.stringContaining("/data."),
    expect.stringContaining("/root."),
  ]);
  expect([await diskState("root"), await diskState("data")]).toEqual([
    DiskState.IN_USE,
    DiskState.IN_USE,
  ]);
  await world.virtualMachines.updateVirtualMachine({ name, blockStorageNames: ["data"] });
  expect([await diskState("root"), await diskState("data")]).toEqual([
    DiskState.AVAILABLE,
    DiskState.IN_USE,
  ]);
  await world.virtualMachines.updateVirtualMachine({
    name,
    updateMask: { paths: ["block_storage_names"] },
  });
  expect(await diskState("data")).toBe(DiskState.AVAILABLE);
  expect(domainOf(world)?.diskPaths.some((path) => path.includes("volumes"))).toBe(false);
});

test("one that runs or is paused keeps its hardware", async () => {
  await using world = await shutDown();
  await world.virtualMachines.bootVirtualMachine({ name });
  for (const state of ["RUNNING", "PAUSED"]) {
    if (state === "PAUSED") await world.virtualMachines.saveVirtualMachine({ name });
    const before = await world.residue();
    const refusal = await refused(
      world.virtualMachines.updateVirtualMachine({ name, limitCpuMilliCore: 4000 }),
    );
    expect(refusal).toMatchObject({ code: "FailedPrecondition" });
    expect(refusal.message).toContain(state);
    expect(await world.residue()).toEqual(before);
  }
});

test.for([
  ["limit_cpu_milli_core", "InvalidArgument", { limitCpuMilliCore: 1500 }],
  ["limit_cpu_milli_core", "InvalidArgument", { limitCpuMilliCore: 256_000 }],
  ["limit_cpu_milli_core", "InvalidArgument", { requestCpuMilliCore: 9000 }],
  [
    "limit_memory_bytes",
    "InvalidArgument",
    { requestMemoryBytes: GiB, limitMemoryBytes: 2n * GiB },
  ],
  ["update_mask", "InvalidArgument", { updateMask: { paths: ["uuid"] } }],
  [undefined, "NotFound", { blockStorageNames: ["root", "none"] }],
  [undefined, "FailedPrecondition", { blockStorageNames: ["root", "base"] }],
  ["block_storage_names", "FailedPrecondition", { blockStorageNames: ["root", "far"] }],
  [undefined, "ResourceExhausted", { requestMemoryBytes: 512n * GiB }],
])("a wrong %s is refused as %s, and nothing is changed: %o", async ([field, code, change]) => {
  await using world = await shutDown(2);
  await prepareImage(world);
  await world.blockStorages.createBlockStorage({
    name: "far",
    requestBytes: GiB,
    limitBytes: GiB,
    annotations: { [REQUEST_NODE]: "node-2" },
  });
  const before = await world.residue();
  const request = Object.assign({ name }, change);
  expect(await refused(world.virtualMachines.updateVirtualMachine(request))).toMatchObject({
    code,
    field,
  });
  expect(await world.residue()).toEqual(before);
});

test("a change to a smaller size that fails finds what it had, though others asked for it", async () => {
  await using world = await shutDown();
  const { cpuMilliCores, memoryBytes } = await world.usedOn("node-1");
  await world.nodes.applyNode({
    name: "node-1",
    address: "node-1:20181",
    cpuMilliCores: Number(cpuMilliCores),
    memoryBytes: 2n * memoryBytes,
    storageBytes: 100n * GiB,
  });
  const before = await world.residue();
  const gate = newGate();
  world.faults = async ({ point, kind, step }) => {
    if (kind !== "UpdateVirtualMachine") return;
    if (point !== "before_act" || step !== "domain.redefine") return;
    await gate.pass();
    throw new Error("the domain is not redefined");
  };
  const shrinking = world.virtualMachines.updateVirtualMachine({ name, requestCpuMilliCore: 10 });
  await gate.reached;
  const other = { ...webRequest("other", []), nics: [], requestCpuMilliCore: 50 };
  expect((await refused(world.virtualMachines.createVirtualMachine(other))).code).toBe(
    "ResourceExhausted",
  );
  gate.open();
  expect(await refused(shrinking)).toMatchObject({ rollback: "done" });
  expect((await world.residue()).records).toEqual(before.records);
});

test("a guest that went off by itself leaves no tap behind when its hardware is changed", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
  const { compute, network } = world.fakeNodes[0]!.drivers;
  compute.powerOff(name);
  expect(Object.keys(network.snapshot().taps)).toHaveLength(1);
  await world.virtualMachines.updateVirtualMachine({ name, requestMemoryBytes: 2n * GiB });
  expect(network.snapshot()).toEqual({ taps: {}, networks: {} });
});
