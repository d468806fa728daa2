import { expect, test } from "vitest";
import { newGate } from "../../../../../test/gate.ts";
import { vmRef } from "../../../../../test/refs.ts";
import { refused } from "../../../../../test/refused.ts";
import { prepareDisk, webRequest } from "../../../../../test/scenario.ts";
import { newShiftingClock } from "../../../../../test/shifting-clock.ts";
import { newWorld, type World, type WorldOptions } from "../../../../../test/world.ts";
import { DomainState } from "../../../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import { VirtualMachine_VirtualMachineState as State } from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { N0Error } from "../../../../util/errors.ts";
import { until } from "../../../../util/until.ts";

const name = "web";

async function running(options: WorldOptions = {}): Promise<World> {
  const world = await newWorld(options);
  await prepareDisk(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
  return world;
}

async function stateOf(world: World) {
  const { state } = await world.virtualMachines.getVirtualMachine({ name });
  const { virtualMachines } = await world.virtualMachines.listVirtualMachines({});
  expect(virtualMachines[0]?.state).toBe(state);
  return state;
}

const verbs = {
  boot: (world: World) => world.virtualMachines.bootVirtualMachine({ name }),
  save: (world: World) => world.virtualMachines.saveVirtualMachine({ name }),
  reboot: (world: World) => world.virtualMachines.rebootVirtualMachine({ name }),
  reset: (world: World) => world.virtualMachines.rebootVirtualMachine({ name, hard: true }),
  powerOff: (world: World) => world.virtualMachines.shutdownVirtualMachine({ name, hard: true }),
};
const ways = { RUNNING: [], PAUSED: ["save"], SHUTDOWN: ["powerOff"] } as const;

test.for([
  ["boot", "RUNNING", "RUNNING"],
  ["boot", "PAUSED", "RUNNING"],
  ["boot", "SHUTDOWN", "RUNNING"],
  ["save", "RUNNING", "PAUSED"],
  ["save", "PAUSED", "PAUSED"],
  ["save", "SHUTDOWN", undefined],
  ["reboot", "RUNNING", "RUNNING"],
  ["reboot", "PAUSED", undefined],
  ["reboot", "SHUTDOWN", undefined],
  ["reset", "RUNNING", "RUNNING"],
  ["reset", "PAUSED", "RUNNING"],
  ["reset", "SHUTDOWN", undefined],
  ["powerOff", "RUNNING", "SHUTDOWN"],
  ["powerOff", "PAUSED", "SHUTDOWN"],
  ["powerOff", "SHUTDOWN", "SHUTDOWN"],
] as const)("%s one that is %s: %s", async ([verb, from, to]) => {
  await using world = await running();
  for (const way of ways[from]) await verbs[way](world);
  expect(await stateOf(world)).toBe(State[from]);
  const before = await world.residue();
  if (to === undefined) {
    expect(await refused(verbs[verb](world))).toMatchObject({
      code: "FailedPrecondition",
      message: expect.stringContaining("boot it first"),
    });
    expect(await world.residue()).toEqual(before);
    return;
  }
  expect(await verbs[verb](world)).toMatchObject({ state: State[to], transactionId: "" });
  expect(await stateOf(world)).toBe(State[to]);
  if (from === to) expect((await world.residue()).nodes).toEqual(before.nodes);
});

test("no verb finds a virtual machine that does not exist", async () => {
  await using world = await newWorld();
  for (const verb of Object.values(verbs)) {
    expect((await refused(verb(world))).code).toBe("NotFound");
  }
  expect(await refused(world.virtualMachines.openConsole({ name }))).toMatchObject({
    code: "NotFound",
  });
});

test.for(["create", "boot"] as const)(
  "a guest that powers off before its %s is answered is seen as off",
  async (verb) => {
    await using world = await newWorld();
    await prepareDisk(world);
    const act = () =>
      verb === "create"
        ? world.virtualMachines.createVirtualMachine(webRequest())
        : world.virtualMachines.bootVirtualMachine({ name });
    if (verb === "boot") {
      await world.virtualMachines.createVirtualMachine(webRequest());
      await verbs.powerOff(world);
    }
    const seen = Promise.withResolvers<void>();
    world.faults = async ({ point }) => {
      if (point !== "before_commit") return;
      world.opened.api.observed.onChange(() => {
        if (world.opened.api.observed.find("node-1", vmRef(name)) === DomainState.SHUT_OFF)
          seen.resolve();
      });
      world.fakeNodes[0]!.drivers.compute.powerOff(name);
      await seen.promise;
    };
    await act();
    expect(await stateOf(world)).toBe(State.SHUTDOWN);
  },
);

test("a shutdown leaves disks claimed and addresses reserved, and a boot finds all as it was", async () => {
  await using world = await running();
  const before = await world.residue();
  await verbs.powerOff(world);
  const { compute, network } = world.fakeNodes[0]!.snapshot();
  expect(compute.domains.map(({ state }) => state)).toEqual(["shut_off"]);
  expect(network).toEqual({ taps: {}, networks: {} });
  await verbs.boot(world);
  const after = await world.residue();
  const isNic = (key: string) => /^(interface|address|compute|storage|uuid|tap)\//.test(key);
  for (const key of Object.keys(before.records).filter(isNic)) {
    expect(after.records[key]).toBe(before.records[key]);
  }
  const nodes = after.nodes.map((node) => JSON.stringify(node, jsonable));
  const same = (text: string) => text.replace(/"transactionId":"[^"]*"/g, "");
  expect(nodes.map(same)).toEqual(before.nodes.map((node) => same(JSON.stringify(node, jsonable))));
});

function jsonable(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}

test("a soft shutdown waits for the guest, and takes what its nics were", async () => {
  await using world = await running();
  const { compute } = world.fakeNodes[0]!.drivers;
  const press = compute.requestShutdown;
  const pressed = newGate();
  Object.assign(compute, {
    requestShutdown: async (...call: Parameters<typeof press>) => {
      await press(...call);
      void pressed.pass();
    },
  });
  const shutting = world.virtualMachines.shutdownVirtualMachine({ name });
  await pressed.reached;
  expect(await stateOf(world)).toBe(State.PENDING);
  compute.powerOff(name);
  expect((await shutting).state).toBe(State.SHUTDOWN);
  expect(world.fakeNodes[0]!.snapshot().network.taps).toEqual({});
});

test("a guest that still boots hears a later press, and all presses are one step", async () => {
  const clock = newShiftingClock();
  await using world = await running({ clock });
  const { compute } = world.fakeNodes[0]!.drivers;
  const press = compute.requestShutdown;
  let presses = 0;
  Object.assign(compute, {
    requestShutdown: async (...call: Parameters<typeof press>) => {
      await press(...call);
      presses += 1;
    },
  });
  const shutting = world.virtualMachines.shutdownVirtualMachine({ name });
  await until(async () => presses === 1);
  compute.listen(name);
  expect(compute.snapshot().domains[0]?.state).toBe("running");
  clock.shiftMs(5_000);
  expect((await shutting).state).toBe(State.SHUTDOWN);
  expect(presses).toBe(2);
  const { transactions } = await world.transactions.listTransactions({});
  const { transaction } = await world.transactions.getTransaction({ id: transactions[0]!.id });
  const names = transaction!.steps.map((step) => step.name);
  expect(names.filter((step) => step === "domain.press_power_button")).toHaveLength(1);
});

test.for([1, 2])("a guest that goes off just before press %i is off", async (nth) => {
  const clock = newShiftingClock();
  await using world = await running({ clock });
  const { compute } = world.fakeNodes[0]!.drivers;
  const press = compute.requestShutdown;
  let presses = 0;
  Object.assign(compute, {
    requestShutdown: async (...call: Parameters<typeof press>) => {
      presses += 1;
      if (presses === nth) compute.powerOff(name);
      await press(...call);
    },
  });
  const shutting = world.virtualMachines.shutdownVirtualMachine({ name });
  await until(async () => presses === 1);
  if (nth === 2) clock.shiftMs(5_000);
  expect((await shutting).state).toBe(State.SHUTDOWN);
  expect(presses).toBe(nth);
});

test("a reset of one that is paused, and cannot be let run after it, leaves it paused", async () => {
  await using world = await running();
  await verbs.save(world);
  const before = await world.residue();
  const { compute } = world.fakeNodes[0]!.drivers;
  const what = new N0Error("unavailable", "the hypervisor does not answer");
  compute.faults.set("ensureResumed", { when: "after", what });
  expect(await refused(verbs.reset(world))).toMatchObject({
    code: "Unavailable",
    rollback: "done",
  });
  compute.faults.clear();
  expect(await stateOf(world)).toBe(State.PAUSED);
  expect(await world.residue()).toEqual(before);
});

test("a guest that does not hear the power button is left running at the deadline", async () => {
  const clock = newShiftingClock();
  await using world = await running({ clock });
  const before = await world.residue();
  const shutting = world.virtualMachines.shutdownVirtualMachine({ name, deadlineSeconds: 1 });
  const refusal = await refused(shutting);
  expect(refusal).toMatchObject({ code: "DeadlineExceeded", rollback: "done" });
  expect(refusal.message).toContain("use hard");
  expect(await stateOf(world)).toBe(State.RUNNING);
  expect(await world.residue()).toEqual(before);
});

test("a shutdown that its caller gives up is undone", async () => {
  await using world = await running();
  const before = await world.residue();
  const shutting = world.virtualMachines.shutdownVirtualMachine({ name }, { timeoutMs: 150 });
  expect((await refused(shutting)).code).toMatch(/^(DeadlineExceeded|Aborted|Unavailable)$/);
  await world.opened.api.engine.settled();
  expect(await world.residue()).toEqual(before);
});

test("one that is paused cannot hear the power button", async () => {
  await using world = await running();
  await verbs.save(world);
  const before = await world.residue();
  expect(await refused(world.virtualMachines.shutdownVirtualMachine({ name }))).toMatchObject({
    code: "FailedPrecondition",
    message: expect.stringContaining("hard"),
  });
  expect(await world.residue()).toEqual(before);
});

test("a boot that fails leaves it shut down, with nothing on the node that was not there", async () => {
  await using world = await running();
  await verbs.powerOff(world);
  const before = await world.residue();
  const { network } = world.fakeNodes[0]!.drivers;
  network.before = (method) => {
    if (method === "ensureAttached") throw new N0Error("unavailable", "the bridge is away");
  };
  expect(await refused(verbs.boot(world))).toMatchObject({ code: "Unavailable", rollback: "done" });
  network.before = () => {};
  const after = await world.residue();
  expect(after.records).toEqual(before.records);
  expect(world.fakeNodes[0]!.snapshot().network).toEqual({ taps: {}, networks: {} });
  expect(await stateOf(world)).toBe(State.SHUTDOWN);
  expect((await verbs.boot(world)).state).toBe(State.RUNNING);
});

test.for(["create", "boot"] as const)(
  "a %s whose QEMU dies before it runs is undone, and says to try again",
  async (verb) => {
    await using world = await running();
    if (verb === "create") await world.virtualMachines.deleteVirtualMachine({ name });
    else await verbs.powerOff(world);
    const before = await world.residue();
    const { compute } = world.fakeNodes[0]!.drivers;
    let deaths = 0;
    world.faults = ({ point, step }) => {
      if (point !== "before_act" || step !== "domain.release") return;
      compute.crash(name);
      deaths += 1;
    };
    const act = () =>
      verb === "boot"
        ? verbs.boot(world)
        : world.virtualMachines.createVirtualMachine(webRequest());
    expect(await refused(act())).toMatchObject({
      code: "Unavailable",
      rollback: "done",
      message: expect.stringContaining("went off as soon as it was started: try again"),
    });
    expect(deaths).toBe(1);
    expect((await world.residue()).records).toEqual(before.records);
    world.faults = () => {};
    expect((await act()).state).toBe(State.RUNNING);
  },
);

test("verbs on one virtual machine wait in line", async () => {
  await using world = await running();
  const states = await Promise.all([
    verbs.save(world),
    verbs.boot(world),
    verbs.powerOff(world),
    verbs.boot(world),
  ]);
  expect(states.map(({ state }) => state)).toEqual([
    State.PAUSED,
    State.RUNNING,
    State.SHUTDOWN,
    State.RUNNING,
  ]);
});

test("a guest that powers off or crashes by itself is soon SHUTDOWN, and boots again", async () => {
  await using world = await running();
  const { compute } = world.fakeNodes[0]!.drivers;
  for (const end of [compute.powerOff, compute.crash]) {
    end(name);
    await until(async () => (await stateOf(world)) === State.SHUTDOWN);
    expect(await refused(world.virtualMachines.openConsole({ name }))).toMatchObject({
      code: "FailedPrecondition",
    });
    expect((await verbs.boot(world)).state).toBe(State.RUNNING);
    expect(await stateOf(world)).toBe(State.RUNNING);
  }
  const { consoleUrl } = await world.virtualMachines.openConsole({ name });
  expect(consoleUrl).toContain(name);
});

test("on a node that is silent a virtual machine is UNSPECIFIED, until it is heard again", async () => {
  const clock = newShiftingClock();
  await using world = await running({ clock });
  world.fakeNodes[0]!.isDown = true;
  clock.shiftMs(15_001);
  expect(await stateOf(world)).toBe(State.VIRTUAL_MACHINE_UNSPECIFIED);
  const consoleRefused = await refused(world.virtualMachines.openConsole({ name }));
  expect(consoleRefused).toMatchObject({ code: "Unavailable", resource: "node/node-1" });
  for (const verb of Object.values(verbs)) {
    expect((await refused(verb(world))).code).toBe("Unavailable");
  }
  expect(await refused(world.virtualMachines.deleteVirtualMachine({ name }))).toMatchObject({
    code: "Unavailable",
    retryAfterMs: 5_000,
  });
  world.fakeNodes[0]!.isDown = false;
  await world.nodes.heartbeatNode({ name: "node-1" });
  await until(async () => (await stateOf(world)) === State.RUNNING);
});

test("what happened while the API was away is seen when it is back", async () => {
  await using world = await running();
  world.fakeNodes[0]!.drivers.compute.powerOff(name);
  await world.restart();
  await until(async () => (await stateOf(world)) === State.SHUTDOWN);
});
