import { expect, test } from "vitest";
import { refused } from "../../../../../test/refused.ts";
import { GiB, prepareDisk, REQUEST_NODE, webRequest } from "../../../../../test/scenario.ts";
import { newShiftingClock } from "../../../../../test/shifting-clock.ts";
import { newWorld, type World } from "../../../../../test/world.ts";
import { BlockStorage_BlockStorageState as DiskState } from "../../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { VirtualMachine_VirtualMachineState as State } from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { TaskService } from "../../../../gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { N0Error } from "../../../../util/errors.ts";
import { until } from "../../../../util/until.ts";

const name = "web";
const bigger = { name, restart: true, requestMemoryBytes: 2n * GiB, limitCpuMilliCore: 4000 };

async function running(options: Parameters<typeof newWorld>[0] = {}): Promise<World> {
  const world = await newWorld({ inMemory: true, ...options });
  await prepareDisk(world);
  const size = { requestBytes: GiB, limitBytes: GiB };
  const annotations = { [REQUEST_NODE]: "node-1" };
  await world.blockStorages.createBlockStorage({ name: "data", ...size, annotations });
  await world.virtualMachines.createVirtualMachine(webRequest());
  return world;
}

const compute = (world: World) => world.fakeNodes[0]!.drivers.compute;
const domainOf = (world: World) => world.fakeNodes[0]!.snapshot().compute.domains[0];
const get = (world: World) => world.virtualMachines.getVirtualMachine({ name });

test("a guest that hears the button is off before it gets other hardware, disks and names", async () => {
  await using world = await running();
  compute(world).listen(name);
  const before = await get(world);
  const told: string[] = [];
  compute(world).onEvent(({ state }) => told.push(state));
  const change = { blockStorageNames: ["data"], hostname: "b", userData: "#!/bin/sh\n" };
  const after = await world.virtualMachines.updateVirtualMachine({ ...bigger, ...change });
  expect(after).toMatchObject({ state: State.RUNNING, transactionId: "", hostname: "b" });
  expect(after.instanceId).not.toBe(before.instanceId);
  expect(await get(world)).toEqual(after);
  expect(told).toEqual(["shut_off", "paused", "running"]);
  expect(domainOf(world)).toMatchObject({ vcpus: 4, memoryBytes: 2n * GiB, state: "running" });
  expect(domainOf(world)?.diskPaths[0]).toContain("/data.");
  const seed = world.fakeNodes[0]!.drivers.seed.seeds.get(`/fake/vm/${name}/seed.iso`);
  expect(seed).toMatchObject({ hostname: "b", userData: "#!/bin/sh\n" });
  const states = await Promise.all(
    ["root", "data"].map((disk) => world.blockStorages.getBlockStorage({ name: disk })),
  );
  expect(states.map(({ state }) => state)).toEqual([DiskState.AVAILABLE, DiskState.IN_USE]);
  expect(Object.keys(world.fakeNodes[0]!.snapshot().network.taps)).toHaveLength(1);
  expect(await world.usedOn("node-1")).toMatchObject({ memoryBytes: 2n * GiB });
});

test("a guest that does not hear the button loses its power, and a paused one at once", async () => {
  const clock = newShiftingClock();
  await using world = await running({ clock });
  const { requestShutdown } = compute(world);
  let presses = 0;
  Object.assign(compute(world), {
    requestShutdown: async (...call: Parameters<typeof requestShutdown>) => {
      await requestShutdown(...call);
      presses += 1;
    },
  });
  const updating = world.virtualMachines.updateVirtualMachine(bigger);
  await until(async () => presses === 1);
  // What it has stays reserved until it is off.
  expect((await get(world)).state).toBe(State.PENDING);
  clock.shiftMs(61_000);
  expect((await updating).state).toBe(State.RUNNING);
  await world.virtualMachines.saveVirtualMachine({ name });
  const smaller = { ...bigger, requestMemoryBytes: GiB };
  expect((await world.virtualMachines.updateVirtualMachine(smaller)).state).toBe(State.RUNNING);
  expect(presses).toBe(1);
  expect(await world.usedOn("node-1")).toMatchObject({ memoryBytes: GiB });
});

test("with nothing to change, nothing is restarted, and labels alone restart nothing", async () => {
  await using world = await running();
  const { nodes } = await world.residue();
  const same = webRequest();
  await world.virtualMachines.updateVirtualMachine({ ...same, restart: true });
  await world.virtualMachines.updateVirtualMachine({ name, restart: true, labels: { a: "b" } });
  expect((await world.residue()).nodes).toEqual(nodes);
});

test.for([
  ["for good", "failed_precondition"],
  ["again and again", "unavailable"],
] as const)(
  "one whose start fails %s ends shut down with the reason, and boots later",
  async ([, kind]) => {
    await using world = await running();
    await world.virtualMachines.saveVirtualMachine({ name });
    const what = new N0Error(kind, "its QEMU ended unexpectedly");
    compute(world).faults.set("ensureStarted", { when: "before", what });
    const after = await world.virtualMachines.updateVirtualMachine(bigger);
    const state = { state: State.SHUTDOWN, transactionId: "", limitCpuMilliCore: 4000 };
    expect(after).toMatchObject(state);
    expect(after.stateReason).toMatch(/^it did not start again after its update: .*its QEMU ended/);
    expect(await get(world)).toEqual(after);
    expect(world.fakeNodes[0]!.snapshot().network).toEqual({ taps: {}, networks: {} });
    compute(world).faults.clear();
    const booted = await world.virtualMachines.bootVirtualMachine({ name });
    expect(booted).toMatchObject({ state: State.RUNNING, stateReason: "" });
    expect(domainOf(world)).toMatchObject({ vcpus: 4, memoryBytes: 2n * GiB });
  },
);

test("what a node has no room for is refused before the guest is asked", async () => {
  await using world = await running();
  const before = await world.residue();
  const asked = { ...bigger, requestMemoryBytes: 512n * GiB };
  expect(await refused(world.virtualMachines.updateVirtualMachine(asked))).toMatchObject({
    code: "ResourceExhausted",
    rollback: "done",
  });
  expect(await world.residue()).toEqual(before);
});

test("tasks restart one when all of them are done, and none uses it in between", async () => {
  await using world = await running();
  compute(world).listen(name);
  const before = await world.residue();
  const args = { name, limit_cpu_milli_core: 4000 };
  const update = { name: "a", type: "virtual_machine", action: "UpdateVirtualMachine" };
  const restart = { ...update, args: { ...args, restart: true } };
  const off = { name: "b", type: "virtual_machine", action: "SaveVirtualMachine", args: { name } };
  const { runTasks } = world.client(TaskService);
  const refusal = await refused(runTasks({ tasks: [restart, { ...off, dependsOn: ["a"] }] }));
  expect(refusal.message).toContain("that ends only when all tasks are done");
  expect(await world.residue()).toEqual(before);
  const unasked = await refused(runTasks({ tasks: [{ ...update, args }] }));
  expect(unasked.message).toContain("or set restart (n0cli: --restart)");
  const asked = runTasks({ tasks: [{ ...update, args }], allowRestart: true });
  expect(await refused(asked)).toMatchObject({ code: "InvalidArgument", field: "allow_restart" });
  await runTasks({ tasks: [restart] });
  await world.opened.api.engine.settled();
  await until(async () => (await get(world)).state === State.RUNNING);
  expect(domainOf(world)).toMatchObject({ vcpus: 4, state: "running" });
});

test("a restart is undone by a restart, if that is allowed", async () => {
  await using world = await running();
  compute(world).listen(name);
  await world.virtualMachines.updateVirtualMachine(bigger);
  const { transactions } = await world.transactions.listTransactions({});
  const undo = { undoOf: transactions[0]!.id };
  const { runTasks } = world.client(TaskService);
  const refusal = await refused(runTasks(undo));
  expect(refusal).toMatchObject({ code: "FailedPrecondition" });
  expect(refusal.message).toContain("or set restart (n0cli: --restart)");
  compute(world).listen(name);
  await runTasks({ ...undo, allowRestart: true });
  await world.opened.api.engine.settled();
  expect(domainOf(world)).toMatchObject({ vcpus: 2, memoryBytes: GiB, state: "running" });
});
