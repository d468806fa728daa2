import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { Ajv } from "ajv";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { blankQcow2 } from "../../src/driver/volume/image/blank-qcow2.ts";
import { Visibility } from "../../src/gen/n0stack/iam/v1alpha1/visibility_pb.ts";
import { SecurityGroupService } from "../../src/gen/n0stack/network/v1alpha1/security_group_pb.ts";
import { PlanTasksResponseSchema } from "../../src/gen/n0stack/transaction/v1alpha1/task_pb.ts";
import {
  GiB,
  prepareDisk,
  prepareImage,
  REQUEST_NODE,
  SSH_KEY,
  webRequest,
} from "../../test/scenario.ts";
import { newDice } from "../../test/sim/dice.ts";
import { newWorld, type World } from "../../test/world.ts";
import { run } from "../program.ts";
import { newTestIo } from "../testing/test-io.ts";

const SCHEMA = join(import.meta.dirname, "../../examples/do.schema.json");
const fits = new Ajv({ allErrors: true, strict: false }).compile(
  JSON.parse(readFileSync(SCHEMA, "utf8")) as object,
);

const URL = "file:///images/tiny.qcow2";

const groupsOf = ({ transport }: World) => createClient(SecurityGroupService, transport);

async function freshWorld(): Promise<World> {
  const world = await newWorld({ nodeCount: 3, inMemory: true });
  for (const node of world.fakeNodes) node.drivers.volume.sources.set(URL, blankQcow2(1n << 20n));
  return world;
}

async function exported(world: World, ...words: string[]): Promise<string> {
  const t = newTestIo({ transport: world.transport });
  expect([await run(["export", ...words], t.io), t.stderr()]).toEqual([0, expect.anything()]);
  return t.stdout();
}

async function doText(world: World, text: string): Promise<void> {
  const t = newTestIo({ transport: world.transport, stdin: [text] });
  const exitCode = await run(["do", "-"], t.io);
  expect(`${exitCode}\n${t.stderr()}`).toMatch(/^0\n[^]*DAG tasks are completed\n$/);
}

async function expectNothingToDo(world: World, text: string): Promise<void> {
  const t = newTestIo({ transport: world.transport, stdin: [text] });
  const exitCode = await run(["do", "-", "--plan", "-o", "json"], t.io);
  expect(t.stderr()).not.toContain("Failed");
  const plan = fromJson(PlanTasksResponseSchema, JSON.parse(t.stdout()) as JsonValue);
  const busy = plan.tasks.filter(
    ({ status, differences }) => status?.unchanged !== true || differences.length > 0,
  );
  expect(busy.map(({ status, differences, steps }) => [status?.name, differences, steps])).toEqual(
    [],
  );
  expect([exitCode, plan.changes]).toEqual([0, []]);
}

/** What differs each time that an object is made. */
const NEW_EACH_TIME = new Set([
  ...["nodeName", "volumeId", "baseVolumeId", "computeNodeName", "registeredAt", "visibleSince"],
  ...["vni", "n0core/provisioning/block_storage/url", REQUEST_NODE, "$typeName", "imageName"],
  "instanceId",
]);

/** All objects, so that nothing that is exported nowhere is lost. */
async function objectsOf(world: World): Promise<unknown> {
  const all = [
    (await world.networks.listNetworks({})).networks,
    (await groupsOf(world).listSecurityGroups({})).securityGroups,
    (await world.blockStorages.listBlockStorages({})).blockStorages,
    (await world.images.listImages({})).images,
    (await world.virtualMachines.listVirtualMachines({})).virtualMachines,
  ];
  const text = JSON.stringify(all, (key, value: unknown) => {
    if (NEW_EACH_TIME.has(key)) return undefined;
    // In the order of time, and block storages that do not depend on each other are registered side by side.
    if (key === "registeredBlockStorages") {
      return (value as { blockStorageName: string }[]).map((one) => one.blockStorageName).sort();
    }
    return typeof value === "bigint" ? String(value) : value;
  });
  return JSON.parse(text);
}

function problemsOf(text: string): string[] {
  return parseAllDocuments(text, { merge: true }).flatMap((document) =>
    fits(document.toJS()) ? [] : (fits.errors ?? []).map((e) => `${e.instancePath} ${e.message}`),
  );
}

async function deleteAll(world: World): Promise<void> {
  for (const { name } of (await world.virtualMachines.listVirtualMachines({})).virtualMachines) {
    await world.virtualMachines.deleteVirtualMachine({ name });
  }
  for (const { name } of (await world.images.listImages({})).images) {
    await world.images.deleteImage({ name });
  }
  const { blockStorages } = await world.blockStorages.listBlockStorages({});
  for (const { name } of blockStorages) {
    await world.blockStorages.setAvailableBlockStorage({ name });
    await world.blockStorages.deleteBlockStorage({ name });
  }
  // Those that rest on others go first.
  for (let left = blockStorages.map(({ name }) => name); left.length > 0; ) {
    const failed: string[] = [];
    for (const name of left) {
      await world.blockStorages.purgeBlockStorage({ name }).catch(() => failed.push(name));
    }
    expect(failed.length).toBeLessThan(left.length);
    left = failed;
  }
  const { securityGroups } = await groupsOf(world).listSecurityGroups({});
  for (const { name } of securityGroups) await groupsOf(world).applySecurityGroup({ name });
  for (const { name } of securityGroups) await groupsOf(world).deleteSecurityGroup({ name });
  for (const network of (await world.networks.listNetworks({})).networks) {
    for (const one of Object.keys(network.reservedNetworkInterfaces)) {
      if (one === "default-gateway") continue;
      const names = { networkName: network.name, networkInterfaceName: one };
      await world.networks.releaseNetworkInterface(names);
    }
    await world.networks.deleteNetwork({ name: network.name });
  }
}

/** Texts that YAML or a template reads as something else. */
const TEXTS = [
  ...["yes", "1e3", "null", "~", "0x10", "", " a ", "a: b # c", "- x", "ünï ☃", "\"'", "a\nb\t"],
  ...["${HOME}", "${a.b}", "$${a.b}", "${create-vm-a.name}", "<<", "18.04", "true", "*a", "!x"],
];

function chancesOf(seed: number) {
  const dice = newDice(seed);
  const some = (names: readonly string[], chance = 0.4) => names.filter(() => dice.chance(chance));
  const texts = () =>
    Object.fromEntries(some(["k", "yes", "<<", "${x.y}", "1"]).map((k) => [k, dice.pick(TEXTS)]));
  const marks = () => ({ annotations: texts(), labels: texts() });
  const names = (prefix: string, most: number) =>
    Array.from(
      { length: 1 + dice.below(most) },
      (_, i) => `${prefix}${dice.pick(["", ".", "-"])}${i}`,
    );
  return { dice, some, marks, names };
}

type Chances = ReturnType<typeof chancesOf>;

async function makeRandom(world: World, seed: number): Promise<void> {
  const chances = chancesOf(seed);
  const groups = await makeGroups(world, chances);
  const networks = await makeNetworks(world, chances);
  const image = await makeImage(world, chances);
  const disks = await makeDisks(world, chances, image);
  await makeVirtualMachines(world, chances, { groups, networks, disks });
}

async function makeGroups(world: World, { dice, some, marks, names }: Chances) {
  const groups = names("g", 3);
  for (const name of groups) await groupsOf(world).applySecurityGroup({ name });
  for (const name of groups) {
    const rules = some(groups).map((remoteGroup) => ({
      ...{ direction: "ingress", protocol: "tcp", ports: "1-9", remoteGroup, priority: 7 },
    }));
    const logDropped = dice.chance(0.5);
    await groupsOf(world).applySecurityGroup({ name, rules, logDropped, ...marks() });
  }
  return groups;
}

async function makeNetworks(world: World, { dice, some, marks, names }: Chances) {
  const networks = names("net", 3);
  for (const [i, name] of networks.entries()) {
    const has6 = dice.chance(0.5);
    await world.networks.applyNetwork({
      ...{ name, ...marks(), ipv4Cidr: `10.${i}.0.0/24`, natOff: dice.chance(0.3) },
      ...{ ipv6Cidr: has6 ? `fd00:${i}::/64` : "", domain: dice.pick(["", "lab.example"]) },
      ...{ isolated: dice.chance(0.3), reservedRanges: some([`10.${i}.0.8-10.${i}.0.20`]) },
      nameservers: some(["192.0.2.1"]),
    });
    for (const one of some(["vip", "b0"])) {
      const address = { ipv4Address: dice.pick(["", "none", `10.${i}.0.9${one.length}`]) };
      const interfaceName = { networkName: name, networkInterfaceName: one };
      await world.networks.reserveNetworkInterface({ ...interfaceName, ...address });
    }
    if (dice.chance(0.3)) {
      await world.networks.setNetworkVisibility({ name, visibility: Visibility.PUBLIC });
    }
  }
  return networks;
}

async function makeImage(world: World, { dice, marks, names }: Chances) {
  const size = () => ({ requestBytes: GiB, limitBytes: BigInt(2 + dice.below(3)) * GiB });
  const bases = names("base", 2);
  for (const [i, name] of bases.entries()) {
    if (i === 0) await world.blockStorages.fetchBlockStorage({ name, sourceUrl: URL, ...size() });
    else await world.blockStorages.createBlockStorage({ name, ...size(), ...marks() });
  }
  const image = "debian";
  await world.images.applyImage({ name: image, ...marks() });
  for (const [i, name] of bases.entries()) {
    const tags = { imageName: image, blockStorageName: name, tags: i === 0 ? ["1", "latest"] : [] };
    await world.images.registerBlockStorage(tags);
  }
  return image;
}

async function makeDisks(world: World, { dice, marks, names }: Chances, image: string) {
  const disks = names("d", 8);
  for (const [i, name] of disks.entries()) {
    const node = dice.chance(0.3) ? { [REQUEST_NODE]: `node-${1 + dice.below(3)}` } : {};
    const own = { ...marks(), requestBytes: GiB, limitBytes: 5n * GiB };
    const annotations = { ...own.annotations, ...node };
    const from = dice.below(3);
    if (from === 0) {
      const made = { imageName: image, tag: "latest", blockStorageName: name };
      await world.images.generateBlockStorage({ ...own, annotations, ...made });
      const mask = { updateMask: { paths: ["labels"] } };
      await world.blockStorages.updateBlockStorage({ name, labels: own.labels, ...mask });
    } else if (from === 1 && i > 0) {
      const sourceBlockStorage = disks[dice.below(i)]!;
      await world.blockStorages.copyBlockStorage({ ...own, annotations, name, sourceBlockStorage });
    } else await world.blockStorages.createBlockStorage({ ...own, annotations, name });
  }
  return disks;
}

type Made = Readonly<Record<"groups" | "networks" | "disks", readonly string[]>>;

async function makeVirtualMachines(
  world: World,
  { dice, some, marks, names }: Chances,
  { groups, networks, disks }: Made,
) {
  const records = (await world.blockStorages.listBlockStorages({})).blockStorages;
  const free = new Map(disks.map((d) => [d, records.find(({ name }) => name === d)!.nodeName]));
  let nicCount = 10;
  for (const name of names("vm", 4)) {
    const [first, node] = [...free][0] ?? [];
    if (first === undefined) break;
    const own = [...free].filter(([, on]) => on === node).map(([disk]) => disk);
    const used = [first, ...own.filter((d) => d !== first && dice.chance(0.6))];
    for (const disk of used) free.delete(disk);
    const nics = some(networks, 0.7).map((networkName) => ({
      networkName,
      ipv6Address: dice.pick(["", "none"]),
      hardwareAddress: dice.pick(["", `52:54:00:00:00:${(nicCount += 1)}`]),
      securityGroups: some(groups),
      ingressBitsPerSecond: BigInt(dice.pick([0, 1_000_000])),
      secondaryAddresses: some(["ipv4"], 0.2),
    }));
    await world.virtualMachines.createVirtualMachine({
      ...{ name, ...marks(), blockStorageNames: used, nics, loginUsername: "n0" },
      hostname: dice.pick(["", "guest.example.com"]),
      ...{ requestCpuMilliCore: 100, limitCpuMilliCore: 1000, sshAuthorizedKeys: [SSH_KEY] },
      ...{ requestMemoryBytes: GiB / 4n, limitMemoryBytes: GiB / 4n },
      uuid: dice.pick(["", `00000000-0000-4000-8000-0000000${10_000 + dice.below(80_000)}`]),
    });
    const end = dice.below(4);
    if (end === 0) await world.virtualMachines.shutdownVirtualMachine({ name, hard: true });
    if (end === 1) await world.virtualMachines.saveVirtualMachine({ name });
  }
  const [protect, use] = free.keys();
  if (protect !== undefined) await world.blockStorages.setProtectedBlockStorage({ name: protect });
  if (use !== undefined) await world.blockStorages.setInuseBlockStorage({ name: use });
}

/** Tasks that the worlds below must have, among others. */
const TASKS = [
  ...["apply-network", "reserve-interface", "share-network", "begin-group", "apply-group"],
  ...["create-disk", "fetch-disk", "copy-disk", "generate-disk", "label-disk", "use-disk"],
  ...["protect-disk", "apply-image", "register-disk", "create-vm", "shut-down-vm", "pause-vm"],
  "request_node_name: ${",
];

describe("what is exported, deleted and done again is exported with the same text", () => {
  const left = new Set(TASKS);
  test.each([1, 3, 6, 8, 20, 23])("world %d", async (seed) => {
    await using world = await freshWorld();
    await makeRandom(world, seed);
    const before = await exported(world);
    expect(problemsOf(before)).toEqual([]);
    expect(await exported(world)).toBe(before);
    await expectNothingToDo(world, before);
    const objects = await objectsOf(world);
    await deleteAll(world);
    await doText(world, before);
    expect(await exported(world)).toBe(before);
    expect(await objectsOf(world)).toEqual(objects);
    for (const task of TASKS) if (before.includes(task)) left.delete(task);
  });
  test("the worlds have every task", () => {
    expect([...left]).toEqual([]);
  });
});

async function makeLab(world: World): Promise<void> {
  await prepareDisk(world);
  await prepareImage(world);
  const size = { requestBytes: GiB, limitBytes: GiB };
  const made = { imageName: "debian", tag: "12", blockStorageName: "made", ...size };
  await world.images.generateBlockStorage(made);
  const web = webRequest("web", ["made"]);
  const nics = [{ networkName: "net" }, { networkName: "net", ipv4Address: "none" }];
  const userData = "#!/bin/sh\n";
  await world.virtualMachines.createVirtualMachine({ ...web, nics, userData });
  await world.networks.applyNetwork({ name: "other", ipv4Cidr: "10.9.0.0/24" });
}

function tasksIn(text: string): readonly string[] {
  return [...text.matchAll(/^([a-z][^ :]*):$/gm)].map(([, name = ""]) => name);
}

test("a selection has all on which it rests, or nothing else", async () => {
  await using world = await freshWorld();
  const nothing = newTestIo({ transport: world.transport });
  expect([await run(["export"], nothing.io), nothing.stdout()]).toEqual([0, ""]);
  expect(nothing.stderr()).toBe("There is nothing to export.\n");
  await makeLab(world);
  const web = [
    ...["apply-network-net", "create-disk-base", "apply-image-debian"],
    ...["register-disk-debian/base", "generate-disk-made", "create-vm-web"],
  ];
  expect(tasksIn(await exported(world, "vm/web")).toSorted()).toEqual(web.toSorted());
  expect(tasksIn(await exported(world, "vms", "--no-dependencies"))).toEqual(["create-vm-web"]);
  const two = tasksIn(await exported(world, "net", "block-storage/base", "network/net"));
  expect(two).toEqual(["apply-network-net", "apply-network-other", "create-disk-base"]);
  const refused = async (...words: string[]) => {
    const t = newTestIo({ transport: world.transport });
    return [await run(["export", ...words], t.io), t.stdout(), t.stderr()];
  };
  expect(await refused("vm/wob")).toEqual([
    ...[5, ""],
    expect.stringContaining('virtual_machine "wob" does not exist (did you mean "web"?)'),
  ]);
  expect(await refused("user")).toEqual([2, "", expect.stringContaining('"user" is not exported')]);
  const asJson = [2, "", expect.stringContaining("export prints YAML: leave out -o json")];
  expect(await refused("-o", "json")).toEqual(asJson);
});

test("a comment says what the file cannot bring back", async () => {
  await using world = await freshWorld();
  await makeLab(world);
  await world.virtualMachines.detachNic({ name: "web", networkInterfaceName: "web0" });
  await world.images.unregisterBlockStorage({ imageName: "debian", blockStorageName: "base" });
  const size = { requestBytes: GiB, limitBytes: 2n * GiB };
  await world.blockStorages.copyBlockStorage({ name: "a", sourceBlockStorage: "base", ...size });
  await world.blockStorages.copyBlockStorage({ name: "b", sourceBlockStorage: "a", ...size });
  // Grown, so a copy is larger; and copied from what was copied from it.
  await world.blockStorages.updateBlockStorage({
    ...{ name: "a", requestBytes: GiB, limitBytes: 3n * GiB },
    updateMask: { paths: ["limit_bytes"] },
  });
  await world.blockStorages.copyBlockStorage({ name: "c", sourceBlockStorage: "b", ...size });
  await world.blockStorages.deleteBlockStorage({ name: "b" });
  await world.blockStorages.copyBlockStorage({ name: "b", sourceBlockStorage: "c", ...size });
  await world.blockStorages.copyBlockStorage({
    name: "d",
    sourceBlockStorage: "a",
    ...{ ...size, limitBytes: 3n * GiB },
  });
  await world.blockStorages.updateBlockStorage({
    ...{ name: "a", requestBytes: GiB, limitBytes: 4n * GiB },
    updateMask: { paths: ["limit_bytes"] },
  });
  await world.blockStorages.copyBlockStorage({
    name: "e",
    sourceBlockStorage: "d",
    ...{ ...size, limitBytes: 3n * GiB },
  });
  await world.blockStorages.deleteBlockStorage({ name: "d" });
  await world.blockStorages.createBlockStorage({ name: "f", ...size, labels: { $: "$${x.y}" } });
  const text = await exported(world);
  const comments = text.split("\n").filter((line) => line.startsWith("# "));
  expect(comments.slice(2)).toEqual([
    '# It was made from "c", and that from what has its name now. So it is made empty.',
    '# It was made from the block storage "d", which cannot be used any more. So it is made empty.',
    "# Its user data (10 bytes) is not here, because nobody can read it back: add user_data.",
    "# Its nics are web1. Made again, they are web0.",
  ]);
  expect(tasksIn(text)).toContain("copy-disk-made");
  await deleteAll(world);
  await doText(world, text);
  // Nothing more is lost.
  expect(tasksIn(await exported(world))).toEqual(tasksIn(text));
});
