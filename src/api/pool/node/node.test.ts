import { expect, test } from "vitest";
import { refused } from "../../../../test/refused.ts";
import { GiB, prepareDisk, webRequest } from "../../../../test/scenario.ts";
import { newWorld } from "../../../../test/world.ts";
import { Node_NodeState as State } from "../../../gen/n0stack/pool/v0/node_pb.ts";

const LOCK_OFF = "n0core/pool/node/disable_deletion_lock";
const node = {
  name: "extra",
  address: "node-1:20181",
  cpuMilliCores: 8_000,
  memoryBytes: 8n * GiB,
  storageBytes: 100n * GiB,
};
const compute = {
  nodeName: "extra",
  computeName: "by-hand",
  requestCpuMilliCore: 1_000,
  limitCpuMilliCore: 4_000,
  requestMemoryBytes: GiB,
  limitMemoryBytes: 2n * GiB,
};
const storage = {
  nodeName: "extra",
  storageName: "by-hand",
  requestBytes: GiB,
  limitBytes: 2n * GiB,
};

test("a cloud without nodes has an empty list of them", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  expect(await world.nodes.listNodes({})).toMatchObject({ nodes: [], nextPageToken: "" });
  expect(await refused(world.nodes.getNode({ name: "node-1" }))).toMatchObject({
    code: "NotFound",
    resource: "node/node-1",
  });
});

test("a node that is applied is READY with every field that was given", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const request = {
    ...node,
    annotations: { "github.com/n0stack/n0stack/n0core/agent_version": "1" },
    labels: { rack: "a" },
    ipmiAddress: "192.0.2.7",
    serial: "S-1",
    datacenter: "dc",
    availabilityZone: "az",
    cell: "cell",
    rack: "rack",
    unit: 7,
    reserveLimits: true,
    accelerator: "tcg",
  };
  const applied = await world.nodes.applyNode(request);
  expect(applied).toMatchObject({ ...request, state: State.READY });
  expect(applied.lastHeartbeatAt).toBeDefined();
  expect(await world.nodes.getNode({ name: "extra" })).toEqual(applied);
});

test("applying a node again replaces its fields and keeps what is reserved on it", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.nodes.applyNode({ ...node, labels: { old: "1" } });
  await world.nodes.reserveCompute(compute);
  const again = await world.nodes.applyNode({ ...node, cpuMilliCores: 1_000 });
  expect(again.labels).toEqual({});
  expect(again.cpuMilliCores).toBe(1_000);
  expect(Object.keys(again.reservedComputes)).toEqual(["by-hand"]);
});

test.for([
  ["cpu_milli_cores", { cpuMilliCores: 999 }],
  ["memory_bytes", { memoryBytes: GiB - 1n }],
  ["storage_bytes", { storageBytes: GiB - 1n }],
] as const)(
  "a node whose %s is less than what is reserved is taken as it is, and full",
  async ([_, change]) => {
    await using world = await newWorld({ nodeCount: 0 });
    await world.nodes.applyNode(node);
    await world.nodes.reserveCompute(compute);
    await world.nodes.reserveStorage(storage);
    expect(await world.nodes.applyNode({ ...node, ...change })).toMatchObject(change);
    const more = [
      world.nodes.reserveCompute({ ...compute, computeName: "more" }),
      world.nodes.reserveStorage({ ...storage, storageName: "more" }),
    ];
    const answers = await Promise.allSettled(more);
    expect(answers.some(({ status }) => status === "rejected")).toBe(true);
    await world.nodes.releaseCompute(compute);
    await world.nodes.releaseStorage(storage);
  },
);

test("a node is deleted when nothing is reserved on it, or only what does not lock it", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const before = await world.residue();
  expect(await refused(world.nodes.deleteNode({ name: "extra" }))).toMatchObject({
    code: "NotFound",
  });
  await world.nodes.applyNode(node);
  await world.nodes.reserveCompute(compute);
  const locked = await refused(world.nodes.deleteNode({ name: "extra" }));
  expect(locked).toMatchObject({ code: "FailedPrecondition" });
  expect(locked.message).toContain('"by-hand"');
  await world.nodes.releaseCompute(compute);
  await world.nodes.reserveStorage({ ...storage, annotations: { [LOCK_OFF]: "" } });
  await world.nodes.deleteNode({ name: "extra" });
  expect(await world.residue()).toEqual(before);
});

test("a compute is reserved and released by hand, as it was asked for", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.nodes.applyNode(node);
  const before = await world.residue();
  const { reservedComputes } = await world.nodes.reserveCompute({
    ...compute,
    annotations: { a: "b" },
  });
  expect(reservedComputes["by-hand"]).toMatchObject({
    annotations: { a: "b" },
    requestCpuMilliCore: 1_000,
    limitCpuMilliCore: 4_000,
    requestMemoryBytes: GiB,
    limitMemoryBytes: 2n * GiB,
  });
  expect(await refused(world.nodes.reserveCompute(compute))).toMatchObject({
    code: "AlreadyExists",
  });
  await world.nodes.releaseCompute(compute);
  expect(await refused(world.nodes.releaseCompute(compute))).toMatchObject({ code: "NotFound" });
  expect(await world.residue()).toEqual(before);
});

test("a storage is reserved and released by hand, as it was asked for", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.nodes.applyNode(node);
  const before = await world.residue();
  const { reservedStorages } = await world.nodes.reserveStorage(storage);
  expect(reservedStorages["by-hand"]).toMatchObject({ requestBytes: GiB, limitBytes: 2n * GiB });
  expect(await refused(world.nodes.reserveStorage(storage))).toMatchObject({
    code: "AlreadyExists",
  });
  await world.nodes.releaseStorage(storage);
  expect(await refused(world.nodes.releaseStorage(storage))).toMatchObject({ code: "NotFound" });
  expect(await world.residue()).toEqual(before);
});

test.for([
  ["request_cpu_milli_core", { requestCpuMilliCore: 0 }],
  ["request_memory_bytes", { requestMemoryBytes: 0n }],
  ["limit_cpu_milli_core", { limitCpuMilliCore: 999 }],
  ["limit_memory_bytes", { limitMemoryBytes: 1n }],
  ["compute_name", { computeName: "" }],
  ["node_name", { nodeName: "no/node" }],
] as const)("a compute with a wrong %s is refused", async ([field, change]) => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.nodes.applyNode(node);
  const refusal = await refused(world.nodes.reserveCompute({ ...compute, ...change }));
  expect(refusal).toMatchObject({ code: "InvalidArgument", field });
  expect(refusal.message).toContain(field);
});

test.for([
  ["request_bytes", { requestBytes: 0n }],
  ["limit_bytes", { limitBytes: 1n }],
  ["storage_name", { storageName: "" }],
] as const)("a storage with a wrong %s is refused", async ([field, change]) => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.nodes.applyNode(node);
  expect(await refused(world.nodes.reserveStorage({ ...storage, ...change }))).toMatchObject({
    code: "InvalidArgument",
    field,
  });
});

test("nothing can be reserved or released on a node that does not exist", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const before = await world.residue();
  const calls = [
    world.nodes.reserveCompute(compute),
    world.nodes.reserveStorage(storage),
    world.nodes.releaseCompute(compute),
    world.nodes.releaseStorage(storage),
    world.nodes.heartbeatNode({ name: "extra" }),
  ];
  for (const { code } of await Promise.all(calls.map(refused))) expect(code).toBe("NotFound");
  expect(await world.residue()).toEqual(before);
});

test("what exceeds the capacity is refused, processor first, saying what is free", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.nodes.applyNode(node);
  const before = await world.residue();
  const tooMuch = { ...compute, requestCpuMilliCore: 9_000, limitCpuMilliCore: 9_000 };
  const cpu = await refused(world.nodes.reserveCompute(tooMuch));
  expect(cpu).toMatchObject({ code: "ResourceExhausted", resource: "node/extra" });
  expect(cpu.message).toContain("cpu_milli_core: 8000 of 8000 free, 9000 requested");
  const memory = { ...compute, requestMemoryBytes: 9n * GiB, limitMemoryBytes: 9n * GiB };
  expect((await refused(world.nodes.reserveCompute(memory))).message).toContain("memory_bytes");
  const bytes = { ...storage, requestBytes: 101n * GiB, limitBytes: 101n * GiB };
  expect(await refused(world.nodes.reserveStorage(bytes))).toMatchObject({
    code: "ResourceExhausted",
  });
  expect(await world.residue()).toEqual(before);
});

test("limits do not count on a node that overcommits, and do on one that does not", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.nodes.applyNode(node);
  await world.nodes.applyNode({ ...node, name: "strict", reserveLimits: true });
  const beyond = { ...compute, limitCpuMilliCore: 9_000 };
  await world.nodes.reserveCompute(beyond);
  await world.nodes.reserveStorage({ ...storage, limitBytes: 101n * GiB });
  const calls = [
    world.nodes.reserveCompute({ ...beyond, nodeName: "strict" }),
    world.nodes.reserveStorage({ ...storage, nodeName: "strict", limitBytes: 101n * GiB }),
  ];
  for (const { code } of await Promise.all(calls.map(refused))) {
    expect(code).toBe("ResourceExhausted");
  }
});

test("what belongs to a virtual machine or a disk is not released by hand", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
  const before = await world.residue();
  const nodeName = "node-1";
  const releases = await Promise.all(
    [
      world.nodes.releaseCompute({ nodeName, computeName: "web" }),
      world.nodes.releaseStorage({ nodeName, storageName: "root" }),
    ].map(refused),
  );
  expect(releases.map(({ code }) => code)).toEqual(["FailedPrecondition", "FailedPrecondition"]);
  expect(releases[0]?.message).toContain("virtual_machine/web");
  expect(releases[1]?.message).toContain("block_storage/root");
  const doubles = [
    world.nodes.reserveCompute({ ...compute, nodeName, computeName: "web" }),
    world.nodes.reserveStorage({ ...storage, nodeName, storageName: "root" }),
  ];
  for (const { code } of await Promise.all(doubles.map(refused))) {
    expect(code).toBe("AlreadyExists");
  }
  expect(await world.residue()).toEqual(before);
});

test("a name that every object has a property of is a name like others", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.nodes.applyNode(node);
  const named = await world.nodes.reserveStorage({ ...storage, storageName: "constructor" });
  expect(Object.keys(named.reservedStorages)).toEqual(["constructor"]);
});
