import { expect, test } from "vitest";
import { newGate } from "../../../../test/gate.ts";
import { refused } from "../../../../test/refused.ts";
import { GiB, MiB, prepareImage } from "../../../../test/scenario.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import { blankQcow2 } from "../../../driver/volume/image/blank-qcow2.ts";
import { BlockStorage_BlockStorageState as State } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";

const size = { requestBytes: GiB, limitBytes: GiB };

async function stateOf(world: World, name: string) {
  return (await world.blockStorages.getBlockStorage({ name })).state;
}

test("images are listed, applied and found", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  expect((await world.images.listImages({})).images).toEqual([]);
  expect(await refused(world.images.getImage({ name: "debian" }))).toMatchObject({
    code: "NotFound",
  });
  expect(await refused(world.images.applyImage({ name: "" }))).toMatchObject({
    code: "InvalidArgument",
    field: "name",
  });
  const made = await world.images.applyImage({ name: "debian", labels: { a: "b" } });
  expect(made).toMatchObject({ name: "debian", labels: { a: "b" }, tags: {} });
  expect((await world.images.listImages({})).images).toEqual([made]);
});

test("a registration protects the disk and moves tags to it; applying again keeps both", async () => {
  await using world = await newWorld();
  await prepareImage(world);
  await world.blockStorages.createBlockStorage({ name: "newer", ...size });
  const image = await world.images.registerBlockStorage({
    imageName: "debian",
    blockStorageName: "newer",
    tags: ["12", "latest"],
  });
  expect(image.tags).toEqual({ "12": "newer", latest: "newer" });
  expect(image.registeredBlockStorages.map((r) => r.blockStorageName)).toEqual(["base", "newer"]);
  expect(image.registeredBlockStorages[1]?.registeredAt).toBeDefined();
  expect(await stateOf(world, "newer")).toBe(State.PROTECTED);
  const again = await world.images.applyImage({ name: "debian", annotations: { a: "b" } });
  expect(again).toMatchObject({ ...image, annotations: { a: "b" } });
});

test.for([
  ["an image that does not exist", "NotFound", { imageName: "none" }],
  ["a disk that does not exist", "NotFound", { blockStorageName: "none" }],
  ["a disk that is registered already", "FailedPrecondition", { blockStorageName: "base" }],
  ["a disk in use", "FailedPrecondition", { blockStorageName: "used" }],
  ["a tag that is none", "InvalidArgument", { tags: ["a/b"] }],
] as const)("a registration of %s is refused as %s", async ([, code, change]) => {
  await using world = await newWorld();
  await prepareImage(world);
  await world.blockStorages.createBlockStorage({ name: "used", ...size });
  await world.blockStorages.setInuseBlockStorage({ name: "used" });
  await world.blockStorages.createBlockStorage({ name: "free", ...size });
  const before = await world.residue();
  const { imageName = "debian", blockStorageName = "free", tags = [] } = { ...noChange, ...change };
  expect(
    (
      await refused(
        world.images.registerBlockStorage({ imageName, blockStorageName, tags: [...tags] }),
      )
    ).code,
  ).toBe(code);
  expect(await world.residue()).toEqual(before);
});

const noChange: { imageName?: string; blockStorageName?: string; tags?: readonly string[] } = {};

test("what leaves its image is AVAILABLE and takes its tags along; what was never in it stays as it is", async () => {
  await using world = await newWorld();
  await prepareImage(world);
  await world.blockStorages.createBlockStorage({ name: "other", ...size });
  await world.blockStorages.setInuseBlockStorage({ name: "other" });
  await world.images.applyImage({ name: "empty" });
  const before = await world.residue();
  const { images } = world;
  const foreign = { imageName: "debian", blockStorageName: "other" };
  const debian = await images.getImage({ name: "debian" });
  expect(await images.unregisterBlockStorage(foreign)).toEqual(debian);
  const wrongImage = { imageName: "empty", blockStorageName: "base" };
  const wrong = await refused(images.unregisterBlockStorage(wrongImage));
  expect(wrong.code).toBe("FailedPrecondition");
  expect(wrong.message).toContain('"base" is not registered in image "empty", and PROTECTED');
  const noDisk = { imageName: "debian", blockStorageName: "none" };
  expect((await refused(images.unregisterBlockStorage(noDisk))).code).toBe("NotFound");
  expect(await world.residue()).toEqual(before);

  // A repeated call is answered like the first.
  for (let i = 0; i < 2; i += 1) {
    const base = { imageName: "debian", blockStorageName: "base" };
    const image = await images.unregisterBlockStorage(base);
    expect(image).toMatchObject({ name: "debian", registeredBlockStorages: [], tags: {} });
    expect(await stateOf(world, "base")).toBe(State.AVAILABLE);
  }
});

test("tags are set, moved and removed, for what is registered", async () => {
  await using world = await newWorld();
  await prepareImage(world);
  const name = "debian";
  const registeredBlockStorageName = "base";
  for (const tag of ["18.04", "latest", "constructor"]) {
    const { tags } = await world.images.tagImage({ name, tag, registeredBlockStorageName });
    expect(tags[tag]).toBe("base");
    const after = await world.images.untagImage({ name, tag });
    expect(after.tags).toEqual({ "12": "base" });
    const again = await refused(world.images.untagImage({ name, tag }));
    expect(again).toMatchObject({ code: "NotFound", field: "tag" });
    expect(again.message).toContain("it has 12");
  }
  const unkept = { name, tag: "__proto__", registeredBlockStorageName };
  expect(await refused(world.images.tagImage(unkept))).toMatchObject({
    code: "InvalidArgument",
    field: "tag",
  });
  const none = { name, tag: "13", registeredBlockStorageName: "none" };
  expect(await refused(world.images.tagImage(none))).toMatchObject({ code: "NotFound" });
});

test("an image that is deleted lets go of its disks", async () => {
  await using world = await newWorld();
  await prepareImage(world);
  await world.images.deleteImage({ name: "debian" });
  expect(await stateOf(world, "base")).toBe(State.AVAILABLE);
  expect(await refused(world.images.deleteImage({ name: "debian" }))).toMatchObject({
    code: "NotFound",
  });
});

test("a registration waits for the fetch that is running, and then succeeds", async () => {
  await using world = await newWorld();
  await world.images.applyImage({ name: "debian" });
  const { volume } = world.fakeNodes[0]!.drivers;
  const sourceUrl = "https://images.example/debian";
  volume.sources.set(sourceUrl, blankQcow2(64n * MiB));
  const gate = newGate();
  volume.before = async ({ method }) => {
    if (method === "ensureFetched") await gate.pass();
  };
  const fetching = world.blockStorages.fetchBlockStorage({ name: "base", ...size, sourceUrl });
  await gate.reached;
  const registering = world.images.registerBlockStorage({
    imageName: "debian",
    blockStorageName: "base",
    tags: ["12"],
  });
  // Meanwhile the image is not in anybody's way.
  await world.images.applyImage({ name: "debian", labels: { a: "b" } });
  gate.open();
  await fetching;
  expect(await registering).toMatchObject({ tags: { "12": "base" }, labels: { a: "b" } });
});

test("a registration that waited for a fetch that failed finds no disk", async () => {
  await using world = await newWorld();
  await world.images.applyImage({ name: "debian" });
  const { volume } = world.fakeNodes[0]!.drivers;
  const gate = newGate();
  volume.before = async ({ method }) => {
    if (method === "ensureFetched") await gate.pass();
  };
  const before = await world.residue();
  const fetching = world.blockStorages.fetchBlockStorage({
    name: "base",
    ...size,
    sourceUrl: "https://nobody.example/",
  });
  await gate.reached;
  const request = { imageName: "debian", blockStorageName: "base" };
  const [fetched, registered] = [
    refused(fetching),
    refused(world.images.registerBlockStorage(request)),
  ];
  gate.open();
  expect((await fetched).code).toBe("Unavailable");
  expect((await registered).code).toBe("NotFound");
  expect(await world.residue()).toEqual(before);
});
