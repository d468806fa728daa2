import { createClient } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { newFakeClock } from "../../../../test/fake-clock.ts";
import { inProject } from "../../../../test/projects.ts";
import { refused } from "../../../../test/refused.ts";
import { GiB, prepareImage, REQUEST_NODE } from "../../../../test/scenario.ts";
import { findingsIn } from "../../../../test/verify-world.ts";
import { newWorld, type World, withHeaders } from "../../../../test/world.ts";
import { ProjectService } from "../../../gen/n0stack/iam/v1alpha1/project_pb.ts";
import { Visibility } from "../../../gen/n0stack/iam/v1alpha1/visibility_pb.ts";
import { PROJECT_HEADER } from "../../../util/project.ts";
import { COPY_FROM } from "../../core/annotations.ts";

const shareWith = (...visibleTo: string[]) => {
  return { name: "debian", visibility: Visibility.PROJECTS, visibleTo };
};
const PRIVATE = { name: "debian", visibility: Visibility.PRIVATE };

function generate({ images }: World, fields: object = {}) {
  return images.generateBlockStorage({
    imageName: "default/debian",
    tag: "12",
    blockStorageName: "root",
    requestBytes: GiB,
    limitBytes: 2n * GiB,
    ...fields,
  });
}

async function purge({ blockStorages }: World, name = "root") {
  await blockStorages.deleteBlockStorage({ name });
  await blockStorages.purgeBlockStorage({ name });
}

test("a block storage is made from a shared image, on any node", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  const acme = await inProject(world, "acme");
  await prepareImage(world);
  const hidden = await refused(generate(acme));
  expect(hidden).toMatchObject({
    code: "NotFound",
    message: 'image "default/debian" does not exist',
  });
  await world.images.setImageVisibility(shareWith("acme"));
  expect(await acme.images.getImage({ name: "default/debian" })).toMatchObject({
    name: "debian",
    tags: { 12: "base" },
    visibleTo: [],
  });
  for (const node of ["node-1", "node-2"]) {
    const made = await generate(acme, { annotations: { [REQUEST_NODE]: node } });
    expect(made).toMatchObject({
      nodeName: node,
      imageName: "default/debian",
      baseBlockStorageName: "default/base",
    });
    expect(made.annotations[COPY_FROM]).toBe("default/base");
    expect(await findingsIn(world)).toEqual([]);
    await purge(acme);
  }
  const { message } = await refused(generate(acme, { requestBytes: 1n, limitBytes: 1n }));
  expect(message).toContain('must not be below that of "default/base"');
  // Of the own project, it is as if nobody had written the project.
  expect(await generate(world)).toMatchObject({ imageName: "", baseBlockStorageName: "base" });
});

test("an image is neither deleted nor hidden while others rest on it, nor is its base purged", async () => {
  await using world = await newWorld();
  const acme = await inProject(world, "acme");
  await prepareImage(world);
  await world.images.setImageVisibility(shareWith("acme", "other"));
  await generate(acme);
  const { images } = world;
  const message =
    'image "debian" is used by other projects: 1 project must delete what uses it first';
  for (const call of [
    () => images.deleteImage({ name: "debian" }),
    () => images.setImageVisibility(PRIVATE),
    () => images.setImageVisibility(shareWith("other")),
  ]) {
    expect(await refused(call())).toMatchObject({ code: "FailedPrecondition", message });
  }
  await images.setImageVisibility(shareWith("acme"));
  await images.applyImage({ name: "debian", labels: { os: "linux" } });
  expect(await images.getImage({ name: "debian" })).toMatchObject(shareWith("acme"));
  await images.unregisterBlockStorage({ imageName: "debian", blockStorageName: "base" });
  await world.blockStorages.deleteBlockStorage({ name: "base" });
  const purging = await refused(world.blockStorages.purgeBlockStorage({ name: "base" }));
  expect(purging.message).toBe(
    'block storage "base" is the base of block storages of other projects: they must purge those first',
  );
  await purge(acme);
  await world.blockStorages.purgeBlockStorage({ name: "base" });
  await images.setImageVisibility(PRIVATE);
  await images.deleteImage({ name: "debian" });
  expect((await world.residue()).records).not.toHaveProperty(
    "reference_guard/image/default/debian",
  );
});

test("a block storage that moves takes its data along, and rests on no image any more", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  const acme = await inProject(world, "acme");
  await prepareImage(world);
  await world.images.setImageVisibility(shareWith("acme"));
  await generate(acme, { annotations: { [REQUEST_NODE]: "node-1" } });
  const moved = await acme.blockStorages.updateBlockStorage({
    name: "root",
    annotations: { [REQUEST_NODE]: "node-2" },
    updateMask: { paths: ["annotations"] },
  });
  expect(moved).toMatchObject({ nodeName: "node-2", imageName: "", baseBlockStorageName: "" });
  expect(await findingsIn(world)).toEqual([]);
  await world.images.deleteImage({ name: "debian" });
});

test("who begins to use an image while it is being hidden is refused, or it is not hidden", async () => {
  await using world = await newWorld();
  const acme = await inProject(world, "acme");
  await prepareImage(world);
  await world.images.setImageVisibility(shareWith("acme"));
  // Between the look at the image and the record that refers to it.
  let hidden = 0;
  world.faults = async ({ kind, step, point }) => {
    if (kind !== "GenerateBlockStorage" || point !== "before_journal" || hidden > 0) return;
    if (step !== "block_storage.put_record") return;
    hidden += 1;
    await world.images.setImageVisibility(PRIVATE);
  };
  expect((await refused(generate(acme))).code).toBe("Aborted");
  expect(hidden).toBe(1);
  expect((await refused(generate(acme))).code).toBe("NotFound");
  await world.images.setImageVisibility(shareWith("acme"));
  // Between the look at who uses the image and the commit that hides it.
  world.faults = async ({ kind, point }) => {
    if (kind === "SetImageVisibility" && point === "before_commit") await generate(acme);
  };
  expect((await refused(world.images.setImageVisibility(PRIVATE))).code).toBe("Aborted");
  world.faults = () => {};
  expect((await acme.blockStorages.getBlockStorage({ name: "root" })).imageName).not.toBe("");
  expect(await findingsIn(world)).toEqual([]);
});

test("what is shared with a project is not shared with a later one of the same name", async () => {
  const clock = newFakeClock();
  await using world = await newWorld({ nodeCount: 0, clock });
  const projects = createClient(ProjectService, world.transport);
  const remake = async () => {
    await projects.deleteProject({ name: "acme" });
    await clock.advance(1_000);
    await projects.createProject({ name: "acme" });
    await world.seen();
  };
  await projects.createProject({ name: "acme" });
  await world.seen();
  const acme = withHeaders(world, { [PROJECT_HEADER]: "acme" });
  const seen = async () => {
    const { images } = await acme.images.listImages({ withShared: true });
    const { networks } = await acme.networks.listNetworks({ withShared: true });
    const found = [...images, ...networks].map(({ project, name }) => `${project}/${name}`);
    for (const get of [
      () => acme.images.getImage({ name: "default/debian" }),
      () => acme.networks.getNetwork({ name: "default/lan" }),
    ]) {
      if (found.length > 0) await get();
      else expect((await refused(get())).code).toBe("NotFound");
    }
    return found;
  };
  await world.images.applyImage({ name: "debian" });
  await world.networks.applyNetwork({ name: "lan", ipv4Cidr: "10.0.0.0/24" });
  const share = async () => {
    await world.images.setImageVisibility(shareWith("acme"));
    await world.networks.setNetworkVisibility({ ...shareWith("acme"), name: "lan" });
  };
  await share();
  const both = ["default/debian", "default/lan"];
  expect(await seen()).toEqual(both);
  // What changes other fields keeps the time.
  await remake();
  await world.images.applyImage({ name: "debian", labels: { a: "b" } });
  await world.networks.applyNetwork({ name: "lan", ipv4Cidr: "10.0.0.0/24", labels: { a: "b" } });
  expect(await seen()).toEqual([]);
  await share();
  expect(await seen()).toEqual(both);
});
