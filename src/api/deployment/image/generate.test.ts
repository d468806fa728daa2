import { expect, test } from "vitest";
import { newGate } from "../../../../test/gate.ts";
import { refused } from "../../../../test/refused.ts";
import { GiB, prepareImage, REQUEST_NODE } from "../../../../test/scenario.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import { BlockStorage_BlockStorageState as State } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { COPY_FROM } from "../../core/annotations.ts";

function request(blockStorageName: string, nodeName = "node-1") {
  return {
    imageName: "debian",
    tag: "12",
    blockStorageName,
    requestBytes: GiB,
    limitBytes: 2n * GiB,
    annotations: { [REQUEST_NODE]: nodeName },
  };
}

function volumesOf(world: World, node: number) {
  return world.fakeNodes[node]!.snapshot().volumes;
}

async function remove(world: World, name: string): Promise<void> {
  await world.blockStorages.deleteBlockStorage({ name });
  await world.blockStorages.purgeBlockStorage({ name });
}

test("a disk is generated as an overlay on the image's base, and goes without a trace", async () => {
  await using world = await newWorld();
  await prepareImage(world);
  const before = await world.residue();
  const base = await world.blockStorages.getBlockStorage({ name: "base" });
  const made = await world.images.generateBlockStorage(request("disk"));
  expect(made).toMatchObject({
    state: State.AVAILABLE,
    limitBytes: 2n * GiB,
    baseBlockStorageName: "base",
    baseVolumeId: base.volumeId,
  });
  expect(made.annotations[COPY_FROM]).toBe("base");
  const overlay = volumesOf(world, 0).find(({ id }) => id === made.volumeId);
  expect(overlay).toMatchObject({ baseId: base.volumeId, virtualSizeBytes: 2n * GiB });
  await remove(world, "disk");
  expect(await world.residue()).toEqual(before);
});

test.for([
  ["an image that does not exist", "NotFound", undefined, { imageName: "none" }],
  ["a tag that does not exist", "NotFound", "tag", { tag: "13" }],
  ["a tag that every object has", "NotFound", "tag", { tag: "constructor" }],
  ["no tag", "InvalidArgument", "tag", { tag: "" }],
  [
    "a size below the base's",
    "InvalidArgument",
    "limit_bytes",
    { requestBytes: 1n, limitBytes: 1n },
  ],
  ["a name that is taken", "AlreadyExists", undefined, { blockStorageName: "base" }],
] as const)("%s is refused as %s", async ([, code, field, change]) => {
  await using world = await newWorld();
  await prepareImage(world);
  const before = await world.residue();
  const call = world.images.generateBlockStorage({ ...request("disk"), ...change });
  expect(await refused(call)).toMatchObject({ code, field });
  expect(await world.residue()).toEqual(before);
});

test("many generated at once on another node share one copy of the base there", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  await prepareImage(world);
  const made = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      world.images.generateBlockStorage(request(`disk-${i}`, "node-2")),
    ),
  );
  expect(new Set(made.map(({ baseVolumeId }) => baseVolumeId)).size).toBe(1);
  const there = volumesOf(world, 1);
  expect(there.filter(({ baseId }) => baseId === undefined)).toHaveLength(1);
  expect(there).toHaveLength(21);
});

test("a base is not purged while disks rest on it, on whatever node, and its copies go with it", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  const before = await world.residue();
  await prepareImage(world);
  await world.images.generateBlockStorage(request("here"));
  await world.images.generateBlockStorage(request("there", "node-2"));
  await world.images.deleteImage({ name: "debian" });
  await world.blockStorages.deleteBlockStorage({ name: "base" });
  for (const name of ["here", "there"]) {
    const held = await world.residue();
    const refusal = await refused(world.blockStorages.purgeBlockStorage({ name: "base" }));
    expect(refusal).toMatchObject({ code: "FailedPrecondition" });
    expect(refusal.message).toContain(`"${name}"`);
    const again = { name: "base", requestBytes: GiB, limitBytes: GiB };
    expect((await refused(world.blockStorages.createBlockStorage(again))).code).toBe(
      "FailedPrecondition",
    );
    expect(await world.residue()).toEqual(held);
    await remove(world, name);
  }
  await world.blockStorages.purgeBlockStorage({ name: "base" });
  expect(await world.residue()).toEqual(before);
});

test("a base that was written to between two registrations is copied again", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  await prepareImage(world);
  const old = await world.images.generateBlockStorage(request("old", "node-2"));
  const registration = { imageName: "debian", blockStorageName: "base", tags: ["12"] };
  const again = async () => {
    await world.images.unregisterBlockStorage(registration);
    await world.blockStorages.setInuseBlockStorage({ name: "base" }).catch(() => undefined);
    await world.blockStorages.setAvailableBlockStorage({ name: "base" });
    await world.images.registerBlockStorage(registration);
  };
  // With a disk resting on its copy the base cannot be written to, so the copy is still right.
  await again();
  const same = await world.images.generateBlockStorage(request("same", "node-2"));
  expect(same.baseVolumeId).toBe(old.baseVolumeId);

  await remove(world, "old");
  await remove(world, "same");
  await again();
  const fresh = await world.images.generateBlockStorage(request("new", "node-2"));
  expect(fresh.baseVolumeId).not.toBe(old.baseVolumeId);
  const ids = volumesOf(world, 1).map(({ id }) => id);
  expect(ids.sort()).toEqual([fresh.baseVolumeId, fresh.volumeId].sort());
  const { reservedStorages } = await world.nodes.getNode({ name: "node-2" });
  expect(Object.keys(reservedStorages).sort()).toEqual(["base", "new"]);
});

test("a base that is on its way out while a disk is generated from it is not built on", async () => {
  await using world = await newWorld();
  const before = await world.residue();
  await prepareImage(world);
  const gate = newGate();
  world.faults = async ({ point, kind, step }) => {
    if (
      kind === "GenerateBlockStorage" &&
      step === "node.reserve_storage" &&
      point === "after_act"
    ) {
      await gate.pass();
    }
  };
  const generating = refused(world.images.generateBlockStorage(request("disk")));
  await gate.reached;
  await world.images.deleteImage({ name: "debian" });
  await world.blockStorages.deleteBlockStorage({ name: "base" });
  gate.open();
  expect(await generating).toMatchObject({ code: "FailedPrecondition", rollback: "done" });
  await world.blockStorages.purgeBlockStorage({ name: "base" });
  expect(await world.residue()).toEqual(before);
});
