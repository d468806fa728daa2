import { expect, test } from "vitest";
import { refused } from "../../../../test/refused.ts";
import { comparable } from "../../../../test/saga-cases.ts";
import { prepareDisk, webRequest } from "../../../../test/scenario.ts";
import { fillWorld, findingsIn, linesOf } from "../../../../test/verify-world.ts";
import { hurried, newWorld, type World, withHeaders } from "../../../../test/world.ts";
import {
  ProjectService,
  Project_State as State,
} from "../../../gen/n0stack/iam/v1alpha1/project_pb.ts";
import { Visibility } from "../../../gen/n0stack/iam/v1alpha1/visibility_pb.ts";
import { PROJECT_HEADER } from "../../../util/project.ts";
import { prepareFull } from "./with-objects.cases.ts";

const SIZE = { requestBytes: 1n << 20n, limitBytes: 1n << 20n };
const open = (nodeCount = 1) => newWorld({ nodeCount, inMemory: true, clock: hurried });
const projectsIn = (world: World) => world.client(ProjectService);
const within = (world: World, project: string) => withHeaders(world, { [PROJECT_HEADER]: project });
const WITH_OBJECTS = { name: "acme", withObjects: true };

async function newProject(world: World, name = "acme"): Promise<World> {
  await projectsIn(world).createProject({ name });
  return within(world, name);
}

/** Without the records on which only conditions rest. */
async function objectsOf(world: World) {
  const { records, nodes } = await world.residue();
  const isTrace = (key: string) => key.startsWith("reference_guard/");
  return { nodes, keys: Object.keys(records).filter((key) => !isTrace(key)) };
}

async function textOf(world: World): Promise<string> {
  return JSON.stringify(comparable(await objectsOf(world)));
}

test("what the preview shows goes, and nothing else", async () => {
  await using world = await open();
  await prepareFull(world);
  const preview = await projectsIn(world).previewDeleteProject({ name: "acme" });
  expect(preview.obstacles).toEqual([]);
  const shown = preview.contents.map(({ kind, count, names }) => [kind, count, names.join()]);
  expect(Object.fromEntries(shown.map(([kind, ...rest]) => [kind, rest]))).toEqual({
    block_storage: [4, "base,clone,old,root"],
    image: [1, "debian"],
    network: [1, "net"],
    role_binding: [2, "ci,project/default/ci"],
    service_account: [1, "ci"],
    token: [1, expect.any(String)],
    virtual_machine: [1, "web"],
  });
  const keysOfAcme = (await objectsOf(world)).keys.filter((key) => /[/~]acme[/~]/.test(key));
  expect(keysOfAcme.length).toBeGreaterThan(15);
  const { contentsHash } = preview;
  await projectsIn(world).deleteProject({ ...WITH_OBJECTS, contentsHash });
  const after = await textOf(world);
  expect(after).not.toContain("acme");
  expect(await world.virtualMachines.getVirtualMachine({ name: "web" })).toMatchObject({
    name: "web",
  });
  expect(linesOf(await findingsIn(world))).toEqual([]);
  // The name is free again.
  await prepareDisk(await newProject(world));
});

test("fifty objects go in one transaction", async () => {
  await using world = await open();
  const onNode = world.fakeNodes[0]!.snapshot();
  const acme = await newProject(world);
  await acme.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24" });
  for (let i = 0; i < 16; i++) {
    const name = `vm-${i}`;
    await acme.blockStorages.createBlockStorage({ name, ...SIZE });
    await acme.blockStorages.createBlockStorage({ name: `spare-${i}`, ...SIZE });
    await acme.virtualMachines.createVirtualMachine(webRequest(name, [name]));
  }
  await acme.images.applyImage({ name: "img" });
  await projectsIn(world).deleteProject(WITH_OBJECTS);
  const { transactions } = await world.transactions.listTransactions({});
  expect(transactions[0]).toMatchObject({ rpc: "DeleteProject" });
  const left = await textOf(world);
  expect(left).not.toContain("acme");
  expect(world.fakeNodes[0]!.snapshot()).toEqual(onNode);
});

test("it is refused with all that prevents it, before anything changes", async () => {
  await using world = await open();
  const onNode = world.fakeNodes[0]!.snapshot();
  const acme = await newProject(world);
  const other = await newProject(world, "other");
  await acme.networks.applyNetwork({ name: "lan", ipv4Cidr: "10.0.0.0/24" });
  await acme.networks.setNetworkVisibility({ name: "lan", visibility: Visibility.PUBLIC });
  for (const name of ["kept", "base", "held"]) {
    await acme.blockStorages.createBlockStorage({ name, ...SIZE });
  }
  await acme.blockStorages.setProtectedBlockStorage({ name: "kept" });
  await acme.blockStorages.setInuseBlockStorage({ name: "held" });
  await acme.images.applyImage({ name: "img" });
  const registered = { imageName: "img", blockStorageName: "base", tags: ["1"] };
  await acme.images.registerBlockStorage(registered);
  await acme.images.setImageVisibility({ name: "img", visibility: Visibility.PUBLIC });
  const copy = { imageName: "acme/img", tag: "1", blockStorageName: "copy", ...SIZE };
  await other.images.generateBlockStorage(copy);
  await other.virtualMachines.createVirtualMachine({
    ...webRequest("web", ["copy"]),
    nics: [{ networkName: "acme/lan" }],
  });

  const before = await world.residue();
  const { obstacles } = await projectsIn(world).previewDeleteProject({ name: "acme" });
  const reasons = [
    'image "img" is used by other projects',
    'block storage "base" is the base of block storages of other projects',
    'block storage "held" is IN_USE: set it available first',
    'block storage "kept" is PROTECTED',
    'network "lan" is used by other projects',
  ];
  expect(obstacles).toEqual(reasons.map((reason) => expect.stringContaining(reason)));
  const error = await refused(projectsIn(world).deleteProject(WITH_OBJECTS));
  expect(error.code).toBe("FailedPrecondition");
  expect(error.message).toBe(
    `project "acme" cannot be deleted with its objects: ${obstacles.join("; ")}`,
  );
  expect(error.message).not.toContain('"other"');
  expect(await world.residue()).toEqual(before);

  await projectsIn(world).deleteProject({ ...WITH_OBJECTS, name: "other" });
  for (const name of ["kept", "held"]) {
    await acme.blockStorages.setAvailableBlockStorage({ name });
  }
  await projectsIn(world).deleteProject(WITH_OBJECTS);
  expect(world.fakeNodes[0]!.snapshot()).toEqual(onNode);
});

test("objects that were not shown do not go", async () => {
  await using world = await open();
  const acme = await newProject(world);
  const { contentsHash } = await projectsIn(world).previewDeleteProject({ name: "acme" });
  await acme.images.applyImage({ name: "new" });
  const before = await world.residue();
  const hashed = { ...WITH_OBJECTS, contentsHash };
  expect(await refused(projectsIn(world).deleteProject(hashed))).toMatchObject({
    code: "FailedPrecondition",
    message: expect.stringContaining("has changed since its objects were shown"),
  });
  // One that is made after the keys are taken, and before the project closes.
  world.faults = async ({ point, kind, step }) => {
    if (point !== "before_journal" || kind !== "DeleteProject" || step === "") return;
    world.faults = () => {};
    await acme.images.applyImage({ name: "newer" });
  };
  const error = await refused(projectsIn(world).deleteProject(WITH_OBJECTS));
  expect(error).toMatchObject({
    code: "Aborted",
    message: expect.stringContaining("just been made"),
  });
  await acme.images.deleteImage({ name: "newer" });
  expect(await world.residue()).toEqual(before);
});

test("a node that is silent before the pivot prevents it; one that falls silent later delays it", async () => {
  await using world = await open(2);
  const acme = await newProject(world);
  await fillWorld(acme);
  const node = world.fakeNodes[1]!;
  const before = await world.residue();
  node.isDown = true;
  expect((await refused(projectsIn(world).deleteProject(WITH_OBJECTS))).code).toBe("Unavailable");
  node.isDown = false;
  await world.opened.api.engine.settled();
  expect(await world.residue()).toEqual(before);

  const committed = Promise.withResolvers<void>();
  world.faults = ({ point, kind }) => {
    if (point !== "after_commit" || kind !== "DeleteProject") return;
    node.isDown = true;
    committed.resolve();
  };
  const deleted = projectsIn(world).deleteProject(WITH_OBJECTS);
  await committed.promise;
  const { project } = await projectsIn(world).getProject({ name: "acme" });
  expect(project?.state).toBe(State.PENDING);
  expect((await acme.images.listImages({})).images).toEqual([]);
  for (const ask of [
    () => acme.images.applyImage({ name: "new" }),
    () => projectsIn(world).createProject({ name: "acme" }),
  ]) {
    expect((await refused(ask())).code).toBe("Aborted");
  }
  expect(linesOf(await findingsIn(world)).filter((line) => line.includes("acme"))).toEqual([]);
  node.isDown = false;
  await deleted;
  expect(linesOf(await findingsIn(world))).toEqual([]);
  expect(await textOf(world)).not.toContain("acme");
});
