import type { JsonObject } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { collect } from "../../../../../test/collect.ts";
import { refused } from "../../../../../test/refused.ts";
import { webRequest } from "../../../../../test/scenario.ts";
import { findingsIn, linesOf, newVerifyWorld, repairIn } from "../../../../../test/verify-world.ts";
import { newWorld, type World } from "../../../../../test/world.ts";
import { AuditService } from "../../../../gen/n0stack/audit/v1alpha1/audit_pb.ts";
import { StackService } from "../../../../gen/n0stack/stack/v1alpha1/stack_pb.ts";
import { TaskService } from "../../../../gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { openLog } from "../../../../util/log.ts";
import { uuidV5 } from "../../../../util/uuid.ts";
import { userDatas } from "../collection.ts";

const SECRET = "correct-horse-battery";
const USER_DATA = `#cloud-config\r\nchpasswd: {users: [{name: n0, password: ${SECRET}}]}\r\n`;
const STORED = USER_DATA.replaceAll("\r\n", "\n");
const BARE = { blockStorageNames: [], nics: [] };
const wish = { ...webRequest("web", []), nics: [], userData: USER_DATA };

function seedOf(world: World, name = "web") {
  return world.fakeNodes[0]!.drivers.seed.seeds.get(`/fake/vm/${name}/seed.iso`);
}

/** Where it is, in any spelling: keys of records, and names of answers. */
async function holders(world: World, answers: Readonly<Record<string, unknown>>) {
  const spellings = [SECRET, ...base64Of(SECRET)];
  const has = (text: string) => spellings.some((one) => text.includes(one));
  const records = await world.opened.api.datastore.list("");
  return [
    ...records
      .filter(({ value }) => has(Buffer.from(value).toString("latin1")))
      .map(({ key }) => key),
    ...Object.entries(answers).flatMap(([name, answer]) => (has(textOf(answer)) ? [name] : [])),
  ];
}

/** What base64 has in common wherever the text begins. */
function base64Of(text: string): string[] {
  return [0, 1, 2].map((at) => Buffer.from(text.slice(at, at + 15)).toString("base64"));
}

const textOf = (answer: unknown) =>
  JSON.stringify(answer, (_, value) => (typeof value === "bigint" ? `${value}` : value));

test("the guest alone gets it: no other record and no answer has it", async () => {
  await using world = await newWorld();
  const { virtualMachines, transactions } = world;
  const created = await virtualMachines.createVirtualMachine(wish);
  expect(created).toMatchObject({ userDataBytes: STORED.length, hostname: "" });
  expect(seedOf(world)).toMatchObject({ userData: STORED, hostname: "web" });
  const { name } = created;
  await virtualMachines.shutdownVirtualMachine({ name, hard: true });
  world.fakeNodes[0]!.drivers.seed.seeds.clear();
  await virtualMachines.bootVirtualMachine({ name });
  expect(seedOf(world)?.userData).toBe(STORED);

  const listed = await transactions.listTransactions({});
  const shown = [];
  for (const { id } of listed.transactions) shown.push(await transactions.getTransaction({ id }));
  const answers = {
    created,
    got: await virtualMachines.getVirtualMachine({ name }),
    listed: await virtualMachines.listVirtualMachines({}),
    shown,
    events: await createClient(AuditService, world.transport).listAuditEvents({}),
  };
  expect(await holders(world, answers)).toEqual([
    userDatas.key({ kind: "virtual_machine", scope: "default", name }),
  ]);
  expect(await holders(world, { USER_DATA })).toContain("USER_DATA");

  await virtualMachines.deleteVirtualMachine({ name });
  expect(await world.opened.api.records.list(userDatas)).toEqual([]);
});

test("no plan, task, stack, stream or line of log has it, and no failure", async () => {
  const lines: string[] = [];
  const log = openLog({ level: "debug", write: (line) => lines.push(line) });
  await using world = await newWorld({ inMemory: true, log });
  const [tasks, stacks] = [world.client(TaskService), world.client(StackService)];
  using watch = reading(world.virtualMachines.watchVirtualMachines({}));
  const args = { name: "web", request_cpu_milli_core: 100, request_memory_bytes: "1073741824" };
  const task = (name: string, more: JsonObject) => {
    const action = "CreateVirtualMachine";
    return { name, type: "virtual_machine", action, args: { ...args, name, ...more } };
  };
  const both = [task("web", { user_data: USER_DATA }), task("not", { user_data: `#\n${SECRET}` })];
  const web = both.slice(0, 1);
  const stack = { name: "lab", version: 0, file: "{}" };
  const plan = await tasks.planTasks({ tasks: web, stack });
  const failed = [await refused(tasks.planTasks({ tasks: both }))];
  failed.push(await refused(tasks.runTasks({ tasks: both })));
  world.faults = ({ step, point }) => {
    if (step === "domain.start_new" && point === "after_act") throw new Error("no more");
  };
  failed.push(await refused(tasks.runTasks({ tasks: web, stack })));
  world.faults = () => {};
  const run = await tasks.runTasks({ tasks: web, stack });
  const drifted = [task("web", { user_data: `${USER_DATA}#` })];
  const changed = { ...stack, version: 1 };
  failed.push(await refused(tasks.runTasks({ tasks: drifted, stack: changed })));
  const answers = {
    ...{ plan, failed, run, lines },
    tasks: await collect(tasks.watchTasks({ transactionId: run.transactionId })),
    removal: await tasks.planTasks({ stack: { ...changed, delete: true } }),
    stack: await stacks.checkStack({ name: "lab" }),
    history: await stacks.getStack({ name: "lab" }),
    watched: watch.messages,
  };
  expect(failed).toHaveLength(4);
  expect(watch.messages.length).toBeGreaterThan(1);
  expect(textOf(lines)).toContain("CreateVirtualMachine");
  const key = userDatas.key({ kind: "virtual_machine", scope: "default", name: "web" });
  expect(await holders(world, answers)).toEqual([key]);
});

/** Reads a stream until it goes out of scope. */
function reading<T>(stream: AsyncIterable<T>): Disposable & { readonly messages: readonly T[] } {
  const messages: T[] = [];
  const iterator = stream[Symbol.asyncIterator]();
  const read = async () => {
    for (;;) {
      const { done, value } = await iterator.next();
      if (done) return;
      messages.push(value);
    }
  };
  read().catch(() => {});
  return { messages, [Symbol.dispose]: () => void iterator.return?.() };
}

test("the host name, and the instance id, which stays what it was without both", async () => {
  await using world = await newWorld({ inMemory: true });
  const made = async (request: object) => {
    const vm = await world.virtualMachines.createVirtualMachine({
      ...wish,
      userData: "",
      ...request,
    });
    const seed = seedOf(world);
    await world.virtualMachines.deleteVirtualMachine({ name: "web" });
    expect(seed?.instanceId).toBe(vm.instanceId);
    return { ...vm, seed };
  };
  const before = await made({});
  const { uuid, loginUsername, sshAuthorizedKeys } = before;
  const parts = [loginUsername, sshAuthorizedKeys, [], []];
  expect(before.instanceId).toBe(uuidV5(uuid, JSON.stringify(parts)));
  const named = await made({ hostname: "web.example.com" });
  expect([named.hostname, named.seed?.hostname]).toEqual(["web.example.com", "web.example.com"]);
  const others = [
    named,
    await made({ userData: "#!/bin/sh\n" }),
    await made({ userData: "#!/bin/sh\n#" }),
  ];
  const ids = new Set([before, ...others].map(({ instanceId }) => instanceId));
  expect(ids.size).toBe(4);
  expect((await made({ userData: "#!/bin/sh\r\n" })).instanceId).toBe(others[1]!.instanceId);
});

test("what is wrong is refused before anything is made", async () => {
  await using world = await newWorld({ inMemory: true });
  const before = await world.residue();
  const refusal = async (request: object) => {
    return await refused(world.virtualMachines.createVirtualMachine({ ...wish, ...request }));
  };
  for (const hostname of [
    "-a",
    "a-",
    "a_b",
    "a b",
    "a..b",
    "a.",
    ".a",
    "x".repeat(64),
    "a\n",
    "é",
    "10.0.0.1",
    "localhost",
  ]) {
    const { code, field } = await refusal({ hostname });
    expect([hostname, code, field]).toEqual([hostname, "InvalidArgument", "hostname"]);
  }
  const wrong = await refusal({ userData: `${SECRET}\n` });
  expect(wrong).toMatchObject({ code: "InvalidArgument", field: "user_data" });
  expect(wrong.message).not.toContain(SECRET);
  const long = await refusal({ userData: `#!/bin/sh\n${SECRET}${"é".repeat(32_768)}` });
  expect(long).toMatchObject({ code: "InvalidArgument", field: "user_data" });
  expect(long.message).toMatch(/65536 bytes/);
  expect(await world.residue()).toEqual(before);
  // The longest is no part of what the other texts may have together.
  const longest = `#!/bin/sh\n${"é".repeat(32_763)}`;
  const annotations = { a: "x".repeat(4096) };
  const vm = await world.virtualMachines.createVirtualMachine({
    ...wish,
    annotations,
    userData: longest,
  });
  expect(vm.userDataBytes).toBe(65_536);
});

test("an agent that knows none makes no guest without it", async () => {
  await using world = await newWorld({ inMemory: true });
  const before = await world.residue();
  world.fakeNodes[0]!.knowsUserData = false;
  expect(await refused(world.virtualMachines.createVirtualMachine(wish))).toMatchObject({
    ...{ code: "FailedPrecondition", field: "user_data", rollback: "done" },
    message: expect.stringContaining(
      'node "node-1" cannot give guests user data: update its agent',
    ),
  });
  expect(await world.residue()).toEqual(before);
  await world.virtualMachines.createVirtualMachine({ ...wish, userData: "" });
});

test("verify compares it by its hash, and writes it again", async () => {
  await using world = await newVerifyWorld();
  await world.virtualMachines.createVirtualMachine({ ...wish, ...BARE, name: "with-data" });
  expect(linesOf(await findingsIn(world))).toEqual([]);
  const path = "/fake/vm/with-data/seed.iso";
  const { seeds } = world.fakeNodes
    .map((node) => node.drivers.seed)
    .find((one) => one.seeds.has(path))!;
  const { userData: _, ...without } = seeds.get(path)!;
  for (const wrong of [without, { ...without, userData: "#!/bin/sh\n" }]) {
    seeds.set(path, wrong);
    expect((await findingsIn(world)).map(({ code, found }) => [code, found])).toEqual([
      ["vm.seed_stale", "other content in user-data"],
    ]);
    await repairIn(world);
    expect(seeds.get(path)?.userData).toBe(STORED);
  }
});
