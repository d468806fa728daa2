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
import { hurried, newWorld, type World } from "../../../../test/world.ts";
import { BlockStorage_BlockStorageState as State } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { N0Error } from "../../../util/errors.ts";
import { BLOCK_STORAGE_URL } from "../../core/annotations.ts";

const name = "disk";
const size = { requestBytes: GiB, limitBytes: 2n * GiB };

async function reservedBytes(world: World, nodeName = "node-1") {
  const { reservedStorages } = await world.nodes.getNode({ name: nodeName });
  return reservedStorages[name]?.requestBytes;
}

function volumes(world: World, node = 0) {
  return world.fakeNodes[node]!.snapshot().volumes;
}

test("labels and annotations change in any mix, and nothing else does", async () => {
  await using world = await newWorld();
  const made = await world.blockStorages.createBlockStorage({
    name,
    ...size,
    labels: { a: "1" },
    annotations: { mine: "1" },
  });
  const labelled = await world.blockStorages.updateBlockStorage({ name, labels: { b: "2" } });
  expect(labelled).toEqual({ ...made, labels: { b: "2" } });
  const annotated = await world.blockStorages.updateBlockStorage({
    name,
    annotations: { mine: "2", [BLOCK_STORAGE_URL]: "file:///etc/shadow" },
  });
  const url = made.annotations[BLOCK_STORAGE_URL];
  expect(annotated.annotations).toEqual({ mine: "2", [BLOCK_STORAGE_URL]: url });
  expect(annotated.labels).toEqual({ b: "2" });
  const cleared = await world.blockStorages.updateBlockStorage({
    name,
    updateMask: { paths: ["labels"] },
  });
  expect(cleared.labels).toEqual({});
  expect(cleared.annotations).toEqual(annotated.annotations);
});

test("a disk grows, with its reservation, and keeps its labels", async () => {
  await using world = await newWorld();
  await world.blockStorages.createBlockStorage({ name, ...size, labels: { a: "1" } });
  const grown = await world.blockStorages.updateBlockStorage({ name, limitBytes: 4n * GiB });
  expect(grown).toMatchObject({
    requestBytes: GiB,
    limitBytes: 4n * GiB,
    labels: { a: "1" },
    state: State.AVAILABLE,
    transactionId: "",
  });
  expect(volumes(world)[0]).toMatchObject({ virtualSizeBytes: 4n * GiB });
  await world.blockStorages.updateBlockStorage({ name, requestBytes: 3n * GiB });
  expect(await reservedBytes(world)).toBe(3n * GiB);
  await world.blockStorages.updateBlockStorage({ name, requestBytes: GiB });
  expect(await reservedBytes(world)).toBe(GiB);
  expect((await world.usedOn("node-1")).storageBytes).toBe(GiB);
  expect(await world.blockStorages.getBlockStorage({ name })).toEqual(grown);
});

test.for([
  ["shrinking", "InvalidArgument", "limit_bytes", { limitBytes: GiB }],
  ["a request above the limit", "InvalidArgument", "limit_bytes", { requestBytes: 3n * GiB }],
  [
    "a request of nothing",
    "InvalidArgument",
    "request_bytes",
    { updateMask: { paths: ["request_bytes"] } },
  ],
  ["an unknown field", "InvalidArgument", "update_mask", { updateMask: { paths: ["state"] } }],
  [
    "more than the node has",
    "ResourceExhausted",
    undefined,
    { requestBytes: 4096n * GiB, limitBytes: 4096n * GiB },
  ],
  [
    "a node that does not exist",
    "NotFound",
    undefined,
    { annotations: { [REQUEST_NODE]: "node-9" } },
  ],
] satisfies [string, string, string | undefined, object][])(
  "%s is refused as %s",
  async ([, code, field, change]) => {
    await using world = await newWorld();
    await world.blockStorages.createBlockStorage({ name, ...size });
    await world.blockStorages.createBlockStorage({ name: "other", ...size });
    const before = await world.residue();
    expect(
      await refused(world.blockStorages.updateBlockStorage({ name, ...change })),
    ).toMatchObject({
      code,
      field,
    });
    expect(await world.residue()).toEqual(before);
  },
);

test("a disk in use grows through the domain that has it open, or offline when that is off", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
  const node = world.fakeNodes[0]!;
  const update = (limitBytes: bigint) =>
    world.blockStorages.updateBlockStorage({ name: "root", limitBytes });

  const grown = await update(20n * GiB);
  expect(grown).toMatchObject({ state: State.IN_USE, usedBy: "web", limitBytes: 20n * GiB });
  const { path } = volumes(world)[0]!;
  expect(node.drivers.compute.diskSizeBytes(path)).toEqual(20n * GiB);

  await world.virtualMachines.shutdownVirtualMachine({ name: "web", hard: true });
  await update(30n * GiB);
  expect(node.drivers.compute.diskSizeBytes(path)).toEqual(20n * GiB);
  expect(node.snapshot().volumes[0]).toMatchObject({ virtualSizeBytes: 30n * GiB });
});

test("a guest that powers off while its disk is to grow does not keep it from growing", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
  const { compute } = world.fakeNodes[0]!.drivers;
  const { growDisk } = compute;
  // Between the look at the domain and what is asked of it.
  compute.growDisk = async (...asked) => {
    compute.powerOff("web");
    await growDisk(...asked);
  };
  await world.blockStorages.updateBlockStorage({ name: "root", limitBytes: 20n * GiB });
  expect(volumes(world)[0]).toMatchObject({ virtualSizeBytes: 20n * GiB });
  expect(await world.blockStorages.getBlockStorage({ name: "root" })).toMatchObject({
    state: State.IN_USE,
    limitBytes: 20n * GiB,
  });
});

test("a disk moves to the node that is asked for, and leaves nothing where it was", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  const annotations = { [REQUEST_NODE]: "node-1" };
  await world.blockStorages.createBlockStorage({ name, ...size, annotations, labels: { a: "1" } });
  const moved = await world.blockStorages.updateBlockStorage({
    name,
    annotations: { [REQUEST_NODE]: "node-2" },
  });
  expect(moved).toMatchObject({
    nodeName: "node-2",
    state: State.AVAILABLE,
    labels: { a: "1" },
    ...size,
  });
  expect([volumes(world, 0).length, volumes(world, 1).length]).toEqual([0, 1]);
  expect(volumes(world, 1)[0]).toMatchObject({ id: moved.volumeId, virtualSizeBytes: 2n * GiB });
  expect(await reservedBytes(world, "node-1")).toBeUndefined();
  expect(await reservedBytes(world, "node-2")).toBe(GiB);
});

test("an update that names no node moves nothing, and the node that was asked for stays said", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  const { blockStorages } = world;
  await blockStorages.createBlockStorage({
    name,
    ...size,
    annotations: { [REQUEST_NODE]: "node-2", mine: "1" },
  });
  const updates = [
    { annotations: { mine: "2" } },
    { labels: { a: "1" } },
    { updateMask: { paths: ["annotations"] } },
  ];
  for (const update of updates) {
    const updated = await blockStorages.updateBlockStorage({ name, ...update });
    expect(updated.nodeName).toBe("node-2");
    expect(updated.annotations[REQUEST_NODE]).toBe("node-2");
  }
  const moved = await blockStorages.updateBlockStorage({
    name,
    annotations: { [REQUEST_NODE]: "node-1" },
  });
  expect(moved.annotations).toMatchObject({ [REQUEST_NODE]: "node-1" });
  const stays = await blockStorages.updateBlockStorage({ name, annotations: { mine: "3" } });
  expect(stays).toMatchObject({
    nodeName: "node-1",
    annotations: { [REQUEST_NODE]: "node-1", mine: "3" },
  });
});

test("a limit that is taken away is what is requested", async () => {
  await using world = await newWorld();
  await world.blockStorages.createBlockStorage({ name, ...size });
  const updateMask = { paths: ["request_bytes", "limit_bytes"] };
  const asked = { name, requestBytes: 3n * GiB, updateMask };
  expect(await world.blockStorages.updateBlockStorage(asked)).toMatchObject({
    requestBytes: 3n * GiB,
    limitBytes: 3n * GiB,
  });
});

test("a move that fails leaves the disk where it was", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  const annotations = { [REQUEST_NODE]: "node-1" };
  await world.blockStorages.createBlockStorage({ name, ...size, annotations });
  world.fakeNodes[1]!.drivers.volume.capacityBytes = GiB;
  const before = await world.residue();
  const move = { name, annotations: { [REQUEST_NODE]: "node-2" } };
  const refusal = await refused(world.blockStorages.updateBlockStorage(move));
  expect(refusal).toMatchObject({ code: "ResourceExhausted", rollback: "done" });
  expect(await world.residue()).toEqual(before);
});

test("what is in use does not move, and what is protected, deleted or a base does not change", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  await prepareImage(world);
  await world.images.generateBlockStorage({
    imageName: "debian",
    tag: "12",
    blockStorageName: name,
    ...size,
    annotations: { [REQUEST_NODE]: "node-1" },
  });
  await world.images.unregisterBlockStorage({ imageName: "debian", blockStorageName: "base" });
  await world.blockStorages.createBlockStorage({ name: "deleted", ...size });
  await world.blockStorages.deleteBlockStorage({ name: "deleted" });
  await world.blockStorages.setInuseBlockStorage({ name });
  const before = await world.residue();
  const elsewhere = { annotations: { [REQUEST_NODE]: "node-2" } };
  for (const request of [
    { name, ...elsewhere },
    { name: "base", ...elsewhere },
    { name: "base", limitBytes: 5n * GiB },
    { name: "deleted", labels: { a: "b" } },
  ]) {
    expect(await refused(world.blockStorages.updateBlockStorage(request))).toMatchObject({
      code: "FailedPrecondition",
    });
  }
  expect(await world.residue()).toEqual(before);
});

test("an update of a smaller request that fails finds its bytes as it left them", async () => {
  await using world = await newWorld();
  await world.nodes.applyNode({
    name: "node-1",
    address: "node-1:20181",
    cpuMilliCores: 1_000,
    memoryBytes: GiB,
    storageBytes: 2n * GiB,
  });
  await world.blockStorages.createBlockStorage({
    name,
    requestBytes: 2n * GiB,
    limitBytes: 2n * GiB,
  });
  const before = await world.residue();
  const gate = newGate();
  world.faults = async ({ point, kind }) => {
    if (point !== "before_commit" || kind !== "UpdateBlockStorage") return;
    await gate.pass();
    throw new Error("no commit");
  };
  const shrinking = world.blockStorages.updateBlockStorage({ name, requestBytes: GiB });
  await gate.reached;
  // Somebody else wants what is about to be given back.
  const other = world.blockStorages.createBlockStorage({ name: "other", ...size });
  expect((await refused(other)).code).toBe("ResourceExhausted");
  gate.open();
  expect(await refused(shrinking)).toMatchObject({ rollback: "done" });
  expect(await world.residue()).toEqual(before);
});

test("a growth that the node refuses changes nothing", async () => {
  await using world = await newWorld({ inMemory: true });
  await world.blockStorages.createBlockStorage({ name, ...size });
  const before = await world.residue();
  const { volume } = world.fakeNodes[0]!.drivers;
  volume.before = ({ method }) => {
    if (method === "ensureSize")
      throw new N0Error("failed_precondition", "the format is too small");
  };
  const growing = world.blockStorages.updateBlockStorage({ name, limitBytes: 4n * GiB });
  expect(await refused(growing)).toMatchObject({
    code: "FailedPrecondition",
    message: expect.stringContaining("the format is too small"),
    rollback: "done",
  });
  expect(await world.residue()).toEqual(before);
});

test("a growth whose new part is written to before it is undone needs an operator", async () => {
  await using world = await newWorld({ inMemory: true, clock: hurried });
  await world.blockStorages.createBlockStorage({ name, ...size });
  const { volume } = world.fakeNodes[0]!.drivers;
  volume.after = ({ method, id }) => {
    if (method !== "ensureSize") return;
    volume.writtenTo.set(id, 3n * GiB);
    throw new N0Error("failed_precondition", "the answer is lost");
  };
  const refusal = await refused(
    world.blockStorages.updateBlockStorage({ name, limitBytes: 4n * GiB }),
  );
  expect(refusal.rollback).toBe("needs_operator");
  expect(volumes(world)[0]).toMatchObject({ virtualSizeBytes: 4n * GiB });
});
