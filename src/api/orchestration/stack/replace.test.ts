import { inspect } from "node:util";
import type { JsonObject } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { refused } from "../../../../test/refused.ts";
import { GiB, prepareImage, REQUEST_NODE } from "../../../../test/scenario.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import { stepCollection } from "../../../datastore/datastore-journal.ts";
import { blankQcow2 } from "../../../driver/volume/image/blank-qcow2.ts";
import { RoleBindingService } from "../../../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";
import { RoleService } from "../../../gen/n0stack/iam/v1alpha1/role_pb.ts";
import { BlockStorage_BlockStorageState as State } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { TaskService } from "../../../gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { serverInterceptors } from "../../../rpc/interceptors.ts";
import { localTransport } from "../../../rpc/local-transport.ts";
import { silentLog } from "../../../util/log.ts";

const SOURCE_URL = "http://images.test/disk.qcow2";
const bytes = (gib: number) => `${BigInt(gib) * GiB}`;
const sizes = (gib: number) => ({ request_bytes: bytes(1), limit_bytes: bytes(gib) });

function task(type: string, action: string, args: JsonObject) {
  return { name: `make ${String(args["name"])}`, type, action, args };
}

const diskOf = (name: string, gib: number, more: JsonObject = {}) =>
  task("block_storage", "CreateBlockStorage", { name, ...sizes(gib), ...more });
const fetched = (name: string, gib: number) =>
  task("block_storage", "FetchBlockStorage", { name, ...sizes(gib), source_url: SOURCE_URL });
const copied = (name: string, source: string) =>
  task("block_storage", "CopyBlockStorage", { name, ...sizes(1), source_block_storage: source });
const web = (disk: string) => ({
  ...task("virtual_machine", "CreateVirtualMachine", {
    ...{ name: "web", request_cpu_milli_core: 500, request_memory_bytes: bytes(1) },
    block_storage_names: [disk],
  }),
  dependsOn: [`make ${disk}`],
});

type Tasks = readonly ReturnType<typeof task>[];

const requestOf = (tasks: Tasks, version: number, discardData = true) => ({
  tasks: [...tasks],
  discardData,
  stack: { name: "lab", version },
});

async function run(world: World, ...request: Parameters<typeof requestOf>) {
  const done = await world.client(TaskService).runTasks(requestOf(...request));
  await world.opened.api.engine.settled();
  return done;
}

const plan = (world: World, ...request: Parameters<typeof requestOf>) =>
  world.client(TaskService).planTasks(requestOf(...request));

async function newWorldWithSource(nodeCount = 1): Promise<World> {
  const world = await newWorld({ nodeCount, inMemory: true });
  for (const { drivers } of world.fakeNodes) {
    drivers.volume.sources.set(SOURCE_URL, blankQcow2(GiB));
  }
  return world;
}

const volumes = (world: World) => world.fakeNodes.flatMap((one) => one.snapshot().volumes);

test("a block storage with another source or a smaller size is replaced", async () => {
  await using world = await newWorldWithSource(2);
  const { blockStorages } = world;
  const on2 = { annotations: { [REQUEST_NODE]: "node-2" } };
  await run(world, [diskOf("data", 4, on2), diskOf("kept", 1)], 0);
  const before = await blockStorages.getBlockStorage({ name: "data" });
  const left = await world.residue();

  const smaller = [diskOf("data", 2, { labels: { a: "b" } }), diskOf("kept", 1)];
  const refusal = await refused(run(world, smaller, 1, false));
  expect(refusal).toMatchObject({ code: "FailedPrecondition", field: "discard_data" });
  expect(refusal.message).toContain(
    'block_storage/data is not as asked, and cannot be changed in place: labels["a"] is not set, not "b"; limit_bytes is "4294967296", not "2147483648": to replace it would lose block storage "data" (4GiB)',
  );
  expect(await refused(plan(world, smaller, 1, false))).toMatchObject({ field: "discard_data" });
  expect(await world.residue()).toEqual(left);

  const planned = await plan(world, smaller, 1);
  expect(planned.changes.map(({ name, lostBytes }) => [name, lostBytes])).toEqual([
    ["data", 4n * GiB],
    ["lab", 0n],
  ]);
  expect(planned.finals.map(({ name }) => name)).toEqual(["volume.remove", "volume.forget"]);
  expect(planned.uses).toEqual([]);
  expect(await world.residue()).toEqual(left);
  const { tasks } = await run(world, smaller, 1);
  expect(tasks.map(({ unchanged }) => unchanged)).toEqual([false, true]);
  const data = await blockStorages.getBlockStorage({ name: "data" });
  expect(data).toMatchObject({ state: State.AVAILABLE, nodeName: "node-2", limitBytes: 2n * GiB });
  expect(data.labels).toEqual({ a: "b" });
  expect(volumes(world).map(({ id }) => id)).not.toContain(before.volumeId);
  expect(volumes(world)).toHaveLength(2);

  // Another source, and nothing more to do after that.
  const other = [fetched("data", 2), diskOf("kept", 1)];
  await run(world, other, 2);
  const now = await blockStorages.getBlockStorage({ name: "data" });
  expect([now.nodeName, now.volumeId === data.volumeId]).toEqual(["node-2", false]);
  expect((await plan(world, other, 3)).tasks.every(({ status }) => status?.unchanged)).toBe(true);
  const itself = await refused(run(world, [copied("data", "data"), diskOf("kept", 1)], 3));
  expect(itself).toMatchObject({ code: "InvalidArgument", field: "source_block_storage" });
  await run(world, [copied("data", "kept"), diskOf("kept", 1)], 3);
  expect(volumes(world)).toHaveLength(2);

  // One that somebody has deleted, and could undelete.
  await blockStorages.deleteBlockStorage({ name: "kept" });
  const same = [copied("data", "kept"), diskOf("kept", 1)];
  const purging = await refused(run(world, same, 4, false));
  expect(purging.message).toContain('state is "DELETED", not "AVAILABLE"');
  await run(world, same, 4);
  expect(volumes(world)).toHaveLength(2);
});

test("a virtual machine that is shut down gets the new volume", async () => {
  await using world = await newWorldWithSource();
  const { virtualMachines, blockStorages } = world;
  await run(world, [diskOf("root", 4), web("root")], 0);
  const old = await blockStorages.getBlockStorage({ name: "root" });
  const smaller = [diskOf("root", 2), web("root")];
  const refusal = await refused(run(world, smaller, 1));
  expect(refusal.message).toContain(
    'virtual machine "web" is RUNNING: shut it down before its block storage "root" is replaced',
  );
  await virtualMachines.shutdownVirtualMachine({ name: "web", hard: true });
  const web1 = await virtualMachines.getVirtualMachine({ name: "web" });
  const planned = await plan(world, smaller, 1);
  const { transactionId } = await run(world, smaller, 1);
  const steps = [...planned.tasks.flatMap((one) => one.steps), ...planned.finals];
  const ran = (await world.opened.api.records.list(stepCollection, [transactionId]))
    .map(({ value }) => value)
    .filter(({ name }) => !name.startsWith("task."))
    .sort((one, other) => one.seq - other.seq);
  expect(ran.map(({ name }) => name)).toEqual(steps.map(({ name }) => name));
  expect(steps.map(({ name }) => name)).toContain("domain.redefine");
  const root = await blockStorages.getBlockStorage({ name: "root" });
  expect(root).toMatchObject({ state: State.IN_USE, usedBy: "web", limitBytes: 2n * GiB });
  expect(volumes(world).map(({ id }) => id)).toEqual([root.volumeId]);
  expect(root.volumeId).not.toBe(old.volumeId);
  expect(await virtualMachines.getVirtualMachine({ name: "web" })).toEqual(web1);
  const domains = () => inspect(world.fakeNodes[0]!.snapshot().compute, { depth: null });
  expect(domains()).toContain(root.volumeId);
  expect(domains()).not.toContain(old.volumeId);

  // With its own hardware in the same change.
  const vm = web("root");
  const larger = { ...vm, args: { ...vm.args, request_memory_bytes: bytes(2) } };
  await run(world, [fetched("root", 2), larger], 2);
  const third = await blockStorages.getBlockStorage({ name: "root" });
  expect(domains()).toContain(third.volumeId);
  const { limitMemoryBytes } = await virtualMachines.getVirtualMachine({ name: "web" });
  expect(limitMemoryBytes).toBe(2n * GiB);
  await virtualMachines.bootVirtualMachine({ name: "web" });
  const { findings } = await world.verify.verify({});
  expect(findings).toEqual([]);
});

test("what others rest on, or was there before, is not replaced", async () => {
  await using world = await newWorldWithSource(2);
  await prepareImage(world);
  const { blockStorages, images } = world;
  const size = { requestBytes: GiB, limitBytes: 2n * GiB };
  await blockStorages.createBlockStorage({ name: "found", ...size });
  const own = ["mine", "marked", "base2"].map((name) => diskOf(name, 2));
  await run(world, [diskOf("found", 2), ...own], 0);
  await images.registerBlockStorage({
    imageName: "debian",
    blockStorageName: "base2",
    tags: ["2"],
  });
  await images.generateBlockStorage({
    ...{ imageName: "debian", tag: "2", blockStorageName: "rests", ...size },
  });
  await blockStorages.setInuseBlockStorage({ name: "marked" });
  const before = await world.residue();
  const messages: string[] = [];
  const change = async (name: string, gib = 1, more: JsonObject = {}) => {
    const all = [diskOf("found", 2), ...own].map((one) =>
      one.args["name"] === name ? diskOf(name, gib, more) : one,
    );
    messages.push((await refused(run(world, all, 1))).message);
    expect(await world.residue()).toEqual(before);
  };
  await change("found");
  await change("marked");
  await change("base2");
  await change("mine", 1, { annotations: { [REQUEST_NODE]: "node-9" } });
  expect(messages).toEqual([
    expect.stringContaining('stack "lab" has not made it, so it keeps its data'),
    expect.stringContaining('block storage "marked" is IN_USE: set it available first'),
    expect.stringContaining(
      'block storage "base2" is registered in image "debian": unregister it there first',
    ),
    expect.stringContaining('"node-9"'),
  ]);
  await images.unregisterBlockStorage({ imageName: "debian", blockStorageName: "base2" });
  await blockStorages.setAvailableBlockStorage({ name: "base2" }).catch(() => {});
  const again = [diskOf("found", 2), ...own.slice(0, 2), diskOf("base2", 1)];
  expect((await refused(run(world, again, 1))).message).toContain(
    'block storage "base2" is the base of 1 other, such as "rests": purge those first',
  );
});

test("who replaces a block storage needs the rights to remove it", async () => {
  await using world = await newWorldWithSource();
  await run(world, [diskOf("data", 2), web("data")], 0);
  await world.virtualMachines.shutdownVirtualMachine({ name: "web", hard: true });
  await world.users.createUser({ name: "ann" });
  const interceptors = serverInterceptors(silentLog);
  const caller = { principal: "user/ann", groups: [] };
  const ann = createClient(
    TaskService,
    localTransport(world.opened.routes, { interceptors, caller }),
  );
  const roles = world.client(RoleService);
  const bindings = world.client(RoleBindingService);
  const needed = ["transaction.run", "block_storage.create", "virtual_machine.create"];
  const lost = ["block_storage.delete", "block_storage.purge", "virtual_machine.update"];
  const smaller = requestOf([diskOf("data", 1), web("data")], 1);
  for (const [i, permission] of lost.entries()) {
    const permissions = [...needed, ...lost.slice(0, i)];
    await roles.createRole({ name: `r${i}`, permissions });
    const bound = { role: `r${i}`, member: "user/ann", scope: "project/default" };
    await bindings.createRoleBinding({ name: `r${i}`, ...bound });
    await world.seen();
    const refusal = await refused(ann.runTasks(smaller));
    expect(refusal).toMatchObject({ code: "PermissionDenied" });
    expect(refusal.message).toContain(`lacks the permission ${permission} `);
  }
  await roles.createRole({ name: "all", permissions: [...needed, ...lost] });
  const member = { role: "all", member: "user/ann", scope: "project/default" };
  await bindings.createRoleBinding({ name: "all", ...member });
  await world.seen();
  await ann.runTasks(smaller);
});
