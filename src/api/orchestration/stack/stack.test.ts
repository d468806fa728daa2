import type { JsonObject } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { refused } from "../../../../test/refused.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import {
  StackService,
  StackObject_State as State,
} from "../../../gen/n0stack/stack/v1alpha1/stack_pb.ts";
import { TaskService } from "../../../gen/n0stack/transaction/v1alpha1/task_pb.ts";

const WORDS: ReadonlyMap<number, string> = new Map(
  Object.entries(State).map(([word, state]) => [state as number, word]),
);
const SIZE = { request_bytes: "1073741824", limit_bytes: "1073741824" };

function task(type: string, action: string, args: JsonObject, dependsOn: string[] = []) {
  return { name: String(args["name"]), type, action, args, dependsOn };
}

const UUID = "00000000-0000-4000-8000-000000000001";

const LAN = task("network", "ApplyNetwork", { name: "lan", ipv4_cidr: "10.1.0.0/24" });
const DISK = task("block_storage", "CreateBlockStorage", { name: "disk", ...SIZE });
const webWith = (more: JsonObject, disk = "disk") =>
  task(
    "virtual_machine",
    "CreateVirtualMachine",
    {
      ...{ name: "web", request_cpu_milli_core: 500, request_memory_bytes: "268435456" },
      ...{ block_storage_names: [`\${${disk}.name}`], nics: [{ network_name: "lan" }], ...more },
    },
    ["lan"],
  );
const WEB = webWith({});

type Tasks = readonly (typeof LAN)[];

interface Change {
  readonly version: number;
  readonly discardData?: boolean;
  readonly allowRestart?: boolean;
  readonly name?: string;
}

function change(tasks: Tasks, { version, name = "lab", ...allowed }: Change) {
  const file = `file ${version + 1}`;
  const outputs = { address: "${web.nics[0].ipv4_address}" };
  const isWeb = tasks.some((one) => one.name === "web");
  const stack = { name, version, file, parameters: { a: "b" }, outputs: isWeb ? outputs : {} };
  return { tasks: [...tasks], ...allowed, stack };
}

const run = async (world: World, tasks: Tasks, how: Change) => {
  const done = await world.client(TaskService).runTasks(change(tasks, how));
  await world.opened.api.engine.settled();
  return done;
};
const plan = (world: World, tasks: Tasks, how: Change) =>
  world.client(TaskService).planTasks(change(tasks, how));

async function check(world: World, name = "lab") {
  const { objects } = await world.client(StackService).checkStack({ name });
  return objects.map(({ kind, name: of, state, drifts }) => {
    const fields = drifts.map(({ field, left, present }) => `${field}: ${left}, ${present}`);
    return [`${kind}/${of}`, WORDS.get(state) ?? "", ...fields];
  });
}

async function remove(world: World, version: number, discardData: boolean) {
  const stack = { name: "lab", version, delete: true };
  const done = await world.client(TaskService).runTasks({ discardData, stack });
  await world.opened.api.engine.settled();
  return done;
}

test("a stack is made, changed in place, made smaller, and deleted", async () => {
  await using world = await newWorld({ inMemory: true });
  const empty = await world.residue();
  await run(world, [LAN, DISK, WEB], { version: 0 });
  const left = ["lan", "disk", "web"].map(() => "AS_LEFT");
  expect((await check(world)).map(([, state]) => state)).toEqual(left);
  const stacks = world.client(StackService);
  const [address] = (await world.virtualMachines.getVirtualMachine({ name: "web" })).nics;
  expect(await stacks.readStackVersion({ name: "lab" })).toMatchObject({
    ...{ file: "file 1", outputs: { address: address?.ipv4Address } },
    version: { version: 1, parameters: { a: "b" } },
  });

  // Again: nothing but the stack changes.
  const again = await plan(world, [LAN, DISK, WEB], { version: 1 });
  expect(again.changes.map(({ kind, name }) => `${kind}/${name}`)).toEqual(["stack/lab"]);
  expect(again.tasks.every(({ status }) => status?.unchanged)).toBe(true);

  // In place: labels, a larger disk, and a second nic.
  const nics = [{ network_name: "lan" }, { network_name: "lan" }];
  const other = webWith({ labels: { role: "web" }, nics });
  const larger = task("block_storage", "CreateBlockStorage", {
    ...DISK.args,
    ...{ limit_bytes: "2147483648", annotations: { k: "v" } },
  });
  const planned = await plan(world, [LAN, larger, other], { version: 1 });
  expect(planned.tasks[2]?.differences.map(({ field }) => field)).toEqual([
    'labels["role"]',
    "nics",
  ]);
  await run(world, [LAN, larger, other], { version: 1 });
  const web = await world.virtualMachines.getVirtualMachine({ name: "web" });
  expect(web.labels).toEqual({ role: "web" });
  expect(web.networkInterfaceNames).toEqual(["web0", "web1"]);
  expect(web.nics[0]?.ipv4Address).toBe(address?.ipv4Address);
  const disk = await world.blockStorages.getBlockStorage({ name: "disk" });
  expect([disk.limitBytes, disk.annotations["k"]]).toEqual([2147483648n, "v"]);
  expect((await check(world)).map(([, state]) => state)).toEqual(left);
  const settled = await plan(world, [LAN, larger, other], { version: 2 });
  expect(settled.tasks.every(({ status }) => status?.unchanged)).toBe(true);

  // What the file makes no more is deleted, but no data without a word.
  const refusal = await refused(run(world, [LAN], { version: 2 }));
  expect(refusal.message).toContain('would lose block storage "disk" (2GiB)');
  await run(world, [LAN], { version: 2, discardData: true });
  expect(await check(world)).toEqual([["network/lan", "AS_LEFT"]]);
  expect((await world.virtualMachines.listVirtualMachines({})).virtualMachines).toEqual([]);
  const { versions } = await stacks.readStackHistory({ name: "lab" });
  expect(versions.map(({ version }) => version)).toEqual([3, 2, 1]);
  await remove(world, 3, false);
  expect(await world.residue()).toEqual(empty);
});

test("what somebody has changed by hand is shown, and comes back", async () => {
  await using world = await newWorld({ inMemory: true });
  await run(world, [LAN, DISK, WEB], { version: 0 });
  await world.virtualMachines.updateVirtualMachine({ name: "web", labels: { by: "hand" } });
  await world.networks.applyNetwork({ name: "lan", ipv4Cidr: "10.1.0.0/24", domain: "x.example" });
  expect(await check(world)).toEqual([
    ["block_storage/disk", "AS_LEFT"],
    ["network/lan", "CHANGED", 'domain: "", "x.example"'],
    ["virtual_machine/web", "CHANGED", 'labels["by"]: not set, "hand"'],
  ]);
  await run(world, [LAN, DISK, WEB], { version: 1 });
  expect((await check(world)).map(([, state]) => state)).toEqual(["AS_LEFT", "AS_LEFT", "AS_LEFT"]);
  await world.virtualMachines.deleteVirtualMachine({ name: "web" });
  expect((await check(world)).at(-1)).toEqual(["virtual_machine/web", "GONE"]);
  await run(world, [LAN, DISK, WEB], { version: 2 });
  expect((await world.virtualMachines.getVirtualMachine({ name: "web" })).labels).toEqual({});
});

test("one that is shut down gets the hardware, keys and user data of the file, or loses its user data", async () => {
  await using world = await newWorld({ inMemory: true });
  const first = "#!/bin/sh\necho first\n";
  await run(world, [LAN, DISK, webWith({ user_data: first })], { version: 0 });
  const { virtualMachines } = world;
  await virtualMachines.shutdownVirtualMachine({ name: "web", hard: true });
  const seed = () => world.fakeNodes[0]!.drivers.seed.seeds.get("/fake/vm/web/seed.iso");
  const other = {
    user_data: "#cloud-config\na: 1\n",
    hostname: "b",
    request_memory_bytes: "536870912",
  };
  const planned = await plan(world, [LAN, DISK, webWith(other)], { version: 1 });
  expect(planned.tasks[2]?.differences).toMatchObject([
    { field: "request_memory_bytes" },
    { field: "limit_memory_bytes" },
    { field: "hostname", present: '""', wanted: '"b"' },
    { field: "user_data", present: "another text", wanted: "this one" },
  ]);
  await run(world, [LAN, DISK, webWith(other)], { version: 1 });
  const changed = { hostname: "b", requestMemoryBytes: 536870912n, userDataChanges: 1 };
  expect(await virtualMachines.getVirtualMachine({ name: "web" })).toMatchObject(changed);
  expect(seed()).toMatchObject({ userData: "#cloud-config\na: 1\n", hostname: "b" });
  const again = await plan(world, [LAN, DISK, webWith(other)], { version: 2 });
  expect(again.tasks.every(({ status }) => status?.unchanged)).toBe(true);
  // The stack has made it, so no user data in the file is a change too.
  const { user_data: _, ...without } = other;
  await run(world, [LAN, DISK, webWith(without)], { version: 2 });
  expect(seed()?.userData).toBeUndefined();
  expect((await check(world)).at(-1)).toEqual(["virtual_machine/web", "AS_LEFT"]);
});

test("one that runs is restarted for the file if that is allowed", async () => {
  await using world = await newWorld({ inMemory: true });
  await run(world, [LAN, DISK, WEB], { version: 0 });
  const before = await world.residue();
  const { compute } = world.fakeNodes[0]!.drivers;
  compute.listen("web");
  const larger = [LAN, DISK, webWith({ request_memory_bytes: "536870912", hostname: "b" })];
  const refusal = await refused(run(world, larger, { version: 1 }));
  const fields = "request_memory_bytes, limit_memory_bytes, hostname";
  expect(refusal.message).toContain(
    `"web" is RUNNING: shut it down before a change of ${fields}, or set restart (n0cli: --restart)`,
  );
  expect((await world.residue()).records).toEqual(before.records);
  const allowed = { version: 1, allowRestart: true };
  const planned = await plan(world, larger, allowed);
  const starts = planned.finals.filter(({ name }) => name === "domain.start_again");
  expect(starts.map(({ subject }) => subject)).toEqual(["web"]);
  const web = planned.changes.find(({ name }) => name === "web");
  expect(web?.differences.map(({ field }) => field)).toContain("hostname");
  expect(web?.differences.map(({ field }) => field)).not.toContain("state");
  await run(world, larger, allowed);
  const [domain] = world.fakeNodes[0]!.snapshot().compute.domains;
  expect(domain).toMatchObject({ memoryBytes: 536870912n, state: "running" });
  expect((await check(world)).at(-1)).toEqual(["virtual_machine/web", "AS_LEFT"]);
  const again = await plan(world, larger, { version: 2, allowRestart: true });
  expect(again.tasks.every(({ status }) => status?.unchanged)).toBe(true);
});

test("what was there before a stack stays when it goes", async () => {
  await using world = await newWorld({ inMemory: true });
  await world.networks.applyNetwork({ name: "lan", ipv4Cidr: "10.1.0.0/24" });
  const before = await world.residue();
  await run(world, [LAN, DISK], { version: 0 });
  expect(await refused(remove(world, 1, false))).toMatchObject({ field: "discard_data" });
  await remove(world, 1, true);
  expect(await world.residue()).toEqual(before);
});

test("what a stack cannot do is said, and nothing is changed", async () => {
  await using world = await newWorld({ inMemory: true });
  await run(world, [LAN, DISK, WEB], { version: 0 });
  const before = await world.residue();
  const messages = [];
  const gone = task("network", "DeleteNetwork", { name: "lan" });
  const referring = task("block_storage", "CreateBlockStorage", { ...SIZE, name: "${lan.name}" });
  for (const [tasks, how] of [
    [[LAN, DISK, WEB], { version: 0 }],
    [[LAN, DISK, WEB], { version: 2 }],
    [[LAN], { version: 0, name: "other" }],
    [[gone], { version: 1 }],
    [[LAN, referring], { version: 1, discardData: true }],
    [[LAN, DISK, webWith({ uuid: UUID })], { version: 1 }],
    [[LAN, DISK, webWith({ login_username: "me" })], { version: 1 }],
    [[LAN, DISK, webWith({ request_memory_bytes: "536870912" })], { version: 1 }],
  ] as const) {
    messages.push((await refused(run(world, tasks, how))).message);
  }
  messages.push((await refused(world.client(TaskService).runTasks({}))).message);
  expect(messages).toEqual([
    expect.stringMatching(/^stack "lab" is at version 1, and this change is for a new one/),
    expect.stringMatching(/^stack "lab" is at version 1, and this change is for version 2/),
    'network "lan" belongs to stack "lab"',
    expect.stringContaining("DeleteNetwork does not say what should be"),
    expect.stringContaining("the name of what a stack makes cannot be a reference"),
    expect.stringContaining(
      "virtual_machine/web is not as asked, and cannot be changed in place: uuid is ",
    ),
    expect.stringContaining('"web" is RUNNING: shut it down before a change of login_username'),
    expect.stringContaining("shut it down before a change of request_memory_bytes"),
    expect.stringContaining("must have a task"),
  ]);
  expect(await world.residue()).toEqual(before);
});
