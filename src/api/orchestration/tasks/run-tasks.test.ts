import type { JsonObject } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { collect } from "../../../../test/collect.ts";
import { newGate } from "../../../../test/gate.ts";
import { refused } from "../../../../test/refused.ts";
import { prepareDisk, webRequest } from "../../../../test/scenario.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import { VirtualMachine_VirtualMachineState as VmState } from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import {
  TaskStatus_State as State,
  TaskService,
} from "../../../gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { Phase } from "../../../gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { until } from "../../../util/until.ts";

interface Args {
  readonly name?: string;
  readonly args?: JsonObject;
  readonly dependsOn?: string[];
  readonly ignoreError?: boolean;
}

function task(type: string, action: string, { args = {}, ...rest }: Args) {
  return { name: String(args["name"] ?? action), type, action, args, ...rest };
}

const LAN = task("network", "ApplyNetwork", { args: { name: "lan", ipv4_cidr: "10.1.0.0/24" } });
const WAN = task("network", "ApplyNetwork", { args: { name: "wan", ipv4_cidr: "10.2.0.0/24" } });
const DISK = task("block_storage", "CreateBlockStorage", {
  args: { name: "disk", request_bytes: "1073741824", limit_bytes: "1073741824" },
  dependsOn: ["lan"],
});
const GONE = task("network", "DeleteNetwork", { args: { name: "nothing" }, dependsOn: ["lan"] });

const tasksOf = (world: World) => world.client(TaskService);

/** A world in which the disk of a transaction with `lan` and `disk` waits until the gate opens. */
async function newHeldWorld() {
  const world = await newWorld({ inMemory: true });
  const gate = newGate();
  world.faults = async ({ step, point }) => {
    if (step === "volume.ensure_empty" && point === "before_act") await gate.pass();
  };
  return { world, gate };
}

test("what a task has made is PENDING for others, who can neither use nor delete it", async () => {
  const { world, gate } = await newHeldWorld();
  await using _ = world;
  await prepareNext(world);
  const running = tasksOf(world).runTasks({ tasks: [LAN, DISK] });
  await gate.reached;
  const seen = await world.networks.getNetwork({ name: "lan" });
  expect(seen.transactionId).not.toBe("");
  const nics = [{ networkName: "lan" }];
  const used = world.virtualMachines.createVirtualMachine({ ...webRequest("next", []), nics });
  expect(await refused(used)).toMatchObject({ code: "Aborted", resource: "network/lan" });
  const deleted = world.networks.deleteNetwork({ name: "lan" });
  expect(await refused(deleted)).toMatchObject({ code: "Aborted" });
  gate.open();
  const { tasks } = await running;
  expect(tasks.map(({ name, state }) => [name, state])).toEqual([
    ["lan", State.DONE],
    ["disk", State.DONE],
  ]);
  expect(tasks[0]?.answer).toMatchObject({ name: "lan", ipv4_cidr: "10.1.0.0/24" });
  expect((await world.networks.getNetwork({ name: "lan" })).transactionId).toBe("");
  await world.virtualMachines.createVirtualMachine({ ...webRequest("next", []), nics });
});

async function prepareNext(world: World): Promise<void> {
  await world.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24" });
}

test("if one fails, the error names it, its step and the reason, and all is as before", async () => {
  await using world = await newWorld({ inMemory: true });
  const before = await world.residue();
  const call = tasksOf(world).runTasks({ tasks: [LAN, WAN, GONE] });
  const refusal = await refused(call);
  expect(refusal).toMatchObject({ code: "NotFound", rollback: "done" });
  expect(refusal.message).toBe('task "nothing" (DeleteNetwork): network "nothing" does not exist');
  expect(await world.residue()).toEqual(before);
  const { transactions } = await world.transactions.listTransactions({ rpc: "RunTasks" });
  const [seen] = await collect(tasksOf(world).watchTasks({ transactionId: transactions[0]!.id }));
  expect(seen?.transaction?.phase).toBe(Phase.UNDONE);
  expect(seen?.tasks.map(({ name, state }) => [name, state])).toEqual([
    ["lan", State.UNDONE],
    ["wan", State.UNDONE],
    ["nothing", State.FAILED],
  ]);
});

test("an object that is undone leaves no trace of what later tasks did with it", async () => {
  await using world = await newWorld({ inMemory: true });
  await prepareDisk(world);
  const size = { request_bytes: "1073741824", limit_bytes: "10737418240" };
  const nic = { network_name: "lan", network_interface_name: "nic" };
  const root = { image_name: "img", block_storage_name: "root", tags: ["a"] };
  const copy = { image_name: "img", tag: "a", block_storage_name: "copy", ...size };
  const dag = [
    LAN,
    task("network", "ReserveNetworkInterface", { args: nic, dependsOn: ["lan"] }),
    task("image", "ApplyImage", { args: { name: "img" } }),
    task("image", "RegisterBlockStorage", { args: root, dependsOn: ["img"] }),
    task("image", "GenerateBlockStorage", { args: copy, dependsOn: ["RegisterBlockStorage"] }),
  ];
  const all = dag.map(({ name }) => name);
  const refusal = await refused(
    tasksOf(world).runTasks({ tasks: [...dag, { ...GONE, dependsOn: all }] }),
  );
  expect(refusal).toMatchObject({ rollback: "done" });
  expect(refusal.message).toContain("nothing");
  expect((await world.verify.verify({})).findings).toEqual([]);
});

test("one whose error is ignored is undone, and the others go on", async () => {
  await using world = await newWorld({ inMemory: true });
  await prepareDisk(world);
  world.faults = ({ step, point, kind }) => {
    if (kind === "RunTasks" && step === "domain.start_new" && point === "after_act")
      throw new Error("no power");
  };
  const args = {
    name: "web",
    request_cpu_milli_core: 10,
    limit_cpu_milli_core: 1000,
    request_memory_bytes: "67108864",
    limit_memory_bytes: "67108864",
    block_storage_names: ["root"],
  };
  const web = task("virtual_machine", "CreateVirtualMachine", { args, ignoreError: true });
  const { tasks } = await tasksOf(world).runTasks({ tasks: [web, { ...LAN, dependsOn: ["web"] }] });
  expect(tasks.map(({ state, error, step }) => [state, error, step])).toEqual([
    [State.IGNORED, "Error: no power", "domain.start_new"],
    [State.DONE, "", ""],
  ]);
  expect((await world.virtualMachines.listVirtualMachines({})).virtualMachines).toEqual([]);
  expect((await world.networks.listNetworks({})).networks.map(({ name }) => name)).toEqual([
    "lan",
    "net",
  ]);
  expect((await world.verify.verify({})).findings).toEqual([]);
});

const WRONG = [
  [[LAN, LAN], "tasks[1].name", 'two tasks are named "lan"'],
  [
    [{ ...LAN, type: "netwrk" }],
    "tasks[0].type",
    'there is no type "netwrk" (did you mean "network"?)',
  ],
  [[{ ...LAN, action: "Apply" }], "tasks[0].action", 'has no action "Apply"'],
  [
    [{ ...LAN, dependsOn: ["lam"] }],
    "tasks[0].depends_on",
    'task "lan" depends on task "lam", which does not exist',
  ],
  [[{ ...LAN, dependsOn: ["disk"] }, DISK], "tasks[0].depends_on", '"lan" -> "disk" -> "lan"'],
  [
    [task("network", "ApplyNetwork", { args: { name: "${gone.name}" } })],
    "tasks[0].depends_on",
    '"gone", which does not exist',
  ],
  [
    [LAN, task("network", "ApplyNetwork", { args: { name: "x", ipv4_cidr: "${lan.ipv5}" } })],
    "tasks[1].args.ipv4_cidr",
    "ipv5",
  ],
  [[{ ...LAN, args: { nam: "x" } }], "tasks[0].args", "nam"],
  [
    [task("virtual_machine", "OpenConsole", { args: { name: "web" } })],
    "tasks[0].action",
    "cannot be a task of a transaction",
  ],
  [
    [task("user", "CreateUser", { args: { name: "web" } })],
    "tasks[0].action",
    "cannot be a task of a transaction",
  ],
] as const;

test.for(WRONG)("%j is refused before anything runs", async ([tasks, field, text]) => {
  await using world = await newWorld({ inMemory: true });
  const refusal = await refused(tasksOf(world).runTasks({ tasks: tasks as never }));
  expect(refusal).toMatchObject({ code: "InvalidArgument", field });
  expect(refusal.message).toContain(text);
  expect((await world.transactions.listTransactions({ rpc: "RunTasks" })).transactions).toEqual([]);
});

test("a client that does not wait gets the id, and can watch the tasks", async () => {
  const { world, gate } = await newHeldWorld();
  await using _ = world;
  const { transactionId, tasks } = await tasksOf(world).runTasks({
    tasks: [LAN, DISK],
    detach: true,
  });
  expect(tasks).toEqual([]);
  const seen = collect(tasksOf(world).watchTasks({ transactionId }));
  await gate.reached;
  gate.open();
  const states = (await seen).flatMap((one) =>
    one.tasks.map(({ name, state }) => ({ name, state })),
  );
  expect(states.at(-1)).toEqual({ name: "disk", state: State.DONE });
  expect((await seen).at(-1)?.transaction?.phase).toBe(Phase.DONE);
});

test("a client that hangs up does not stop it, and a cancel undoes all of it", async () => {
  const { world, gate } = await newHeldWorld();
  await using _ = world;
  const before = await world.residue();
  const leave = new AbortController();
  const call = tasksOf(world).runTasks({ tasks: [LAN, DISK] }, { signal: leave.signal });
  await gate.reached;
  leave.abort();
  expect((await refused(call)).code).toBe("Canceled");
  const { transactions } = await world.transactions.listTransactions({ rpc: "RunTasks" });
  const [open] = transactions;
  expect(open?.phase).toBe(Phase.RUNNING);
  const canceled = world.transactions.cancelTransaction({ id: open!.id });
  gate.open();
  await canceled;
  await world.opened.api.engine.settled();
  await until(async () => world.opened.api.engine.live.all().length === 0);
  expect(await world.residue()).toEqual(before);
});

test("what a plan rests on must be as it was, and be an object of the project", async () => {
  await using world = await newWorld({ inMemory: true });
  const { restsOn } = await tasksOf(world).planTasks({ tasks: [LAN] });
  expect(restsOn).toMatchObject([{ key: "network/default/lan", revision: 0n }]);
  await world.networks.applyNetwork({ name: "lan", ipv4Cidr: "10.1.0.0/24" });
  const moved = await refused(tasksOf(world).runTasks({ tasks: [LAN], restsOn }));
  expect(moved).toMatchObject({ code: "FailedPrecondition", resource: "network/lan" });
  for (const key of ["network/acme/lan", "password/default/a", "node//node-1"]) {
    const foreign = tasksOf(world).runTasks({ tasks: [LAN], restsOn: [{ key, revision: 0n }] });
    expect(await refused(foreign)).toMatchObject({
      code: "InvalidArgument",
      field: "rests_on[0].key",
    });
  }
});

test("the answer comes when the nodes know of the guests of each other", async () => {
  await using world = await newWorld({ nodeCount: 2, inMemory: true });
  const isCommitted = async () =>
    (await world.virtualMachines.listVirtualMachines({})).virtualMachines.every(
      ({ transactionId }) => transactionId === "",
    );
  const [first] = world.fakeNodes;
  const { transport } = first!;
  const { unary } = transport;
  transport.unary = async (...call) => {
    if (call[0].name === "PushSegments") await until(isCommitted);
    return await unary(...call);
  };
  const guests = [1, 2].map((node) =>
    task("virtual_machine", "CreateVirtualMachine", {
      args: {
        name: `guest-${node}`,
        annotations: { "n0core/provisioning/virtual_machine/request_node_name": `node-${node}` },
        request_cpu_milli_core: 100,
        limit_cpu_milli_core: 1000,
        request_memory_bytes: "67108864",
        limit_memory_bytes: "67108864",
        nics: [{ network_name: "lan" }],
      },
      dependsOn: ["lan"],
    }),
  );
  await tasksOf(world).runTasks({ tasks: [LAN, ...guests] });
  expect(first!.drivers.network.snapshot().networks["lan"]?.segment?.peers).toHaveLength(1);
});

test("what an earlier task deletes is not used by a later one, also if its key is not held", async () => {
  await using world = await newWorld({ inMemory: true });
  await prepareDisk(world);
  const before = await world.residue();
  const gone = task("network", "DeleteNetwork", { name: "gone", args: { name: "net" } });
  const after = (action: string, type: string, args: JsonObject) =>
    task(type, action, { name: "after", args, dependsOn: ["gone"] });
  for (const use of [
    after("ReserveNetworkInterface", "network", {
      ...{ network_name: "net", network_interface_name: "printer" },
    }),
    after("CreateVirtualMachine", "virtual_machine", {
      ...{ name: "web", request_cpu_milli_core: 10, limit_cpu_milli_core: 1000 },
      ...{ request_memory_bytes: 1 << 26, limit_memory_bytes: 1 << 26 },
      nics: [{ network_name: "net" }],
    }),
  ]) {
    expect(await refused(tasksOf(world).runTasks({ tasks: [gone, use] }))).toMatchObject({
      ...{ code: "FailedPrecondition", resource: "network/net" },
      message: expect.stringContaining('network "net": task "gone" deletes it when all tasks are'),
    });
  }
  expect(await world.residue()).toEqual(before);
});

test("a shutdown that is undone is not shown, and one that is done is", async () => {
  await using world = await newWorld({ inMemory: true });
  await prepareDisk(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
  const off = task("virtual_machine", "ShutdownVirtualMachine", {
    args: { name: "web", hard: true },
  });
  const shown = async () => (await world.virtualMachines.getVirtualMachine({ name: "web" })).state;
  await refused(tasksOf(world).runTasks({ tasks: [off, { ...GONE, dependsOn: ["web"] }] }));
  expect(await shown()).toBe(VmState.RUNNING);
  await tasksOf(world).runTasks({ tasks: [off] });
  await until(async () => (await shown()) === VmState.SHUTDOWN);
});
