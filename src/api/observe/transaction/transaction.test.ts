import { durationMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { collect, reader } from "../../../../test/collect.ts";
import { newGate } from "../../../../test/gate.ts";
import { refused } from "../../../../test/refused.ts";
import { prepareDisk, webRequest } from "../../../../test/scenario.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import {
  Phase,
  Step_State as State,
} from "../../../gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { SimulatedCrash } from "../../../transaction/faults.ts";
import { until } from "../../../util/until.ts";

/** A world in which making `web` stops in the middle of its seed until the gate opens. */
async function newHeldWorld() {
  const world = await newWorld({ inMemory: true });
  await prepareDisk(world);
  const gate = newGate();
  world.faults = async ({ kind, step, point }) => {
    if (
      kind === "CreateVirtualMachine" &&
      step === "domain.write_new_seed" &&
      point === "before_act"
    ) {
      await gate.pass();
    }
  };
  const made = world.virtualMachines.createVirtualMachine(webRequest(), {
    headers: { "user-agent": "test/1", "x-request-id": "asked-1" },
    timeoutMs: 60_000,
  });
  made.catch(() => undefined);
  await until(async () => (await newest(world))?.wait?.cause.case === "node");
  return { world, gate, made };
}

async function newest(world: World, rpc = "CreateVirtualMachine") {
  const { transactions } = await world.transactions.listTransactions({ rpc });
  const id = transactions[0]?.id;
  if (id === undefined) return undefined;
  return (await world.transactions.getTransaction({ id })).transaction;
}

test("a transaction that runs shows who asked, its steps, and the node that it waits for", async () => {
  const { world, gate, made } = await newHeldWorld();
  await using _ = world;
  const running = await newest(world);
  expect(running).toMatchObject({
    rpc: "CreateVirtualMachine",
    phase: Phase.RUNNING,
    asker: { userAgent: "test/1", requestId: "asked-1" },
    resources: ["virtual_machine/web", "block_storage/root"],
    nodes: ["node-1"],
    error: "",
    wait: { cause: { case: "node", value: { node: "node-1", step: "domain.write_new_seed" } } },
  });
  expect(timestampMs(running!.deadlineAt!) - timestampMs(running!.startedAt!)).toBeGreaterThan(
    50_000,
  );
  expect(running!.steps.map(({ name, state }) => [name, state])).toEqual([
    ["virtual_machine.put_record", State.DONE],
    ["virtual_machine.reserve_uuid", State.DONE],
    ["node.reserve_compute", State.DONE],
    ["block_storage.put_record", State.DONE],
    ["network.reserve_interface", State.DONE],
    ["domain.write_new_seed", State.ACTING],
  ]);
  expect(running!.steps[3]).toMatchObject({ subject: "root", tries: 1, error: "" });
  gate.open();
  await made;
});

test("one that is done shows how long each step took, also after a restart", async () => {
  const { world, gate, made } = await newHeldWorld();
  await using _ = world;
  gate.open();
  await made;
  const done = await newest(world);
  expect(done).toMatchObject({ phase: Phase.DONE, error: "", hindrance: "", nodes: ["node-1"] });
  expect(done!.wait).toBeUndefined();
  expect(done!.finishedAt).toBeDefined();
  expect(done!.steps.length).toBeGreaterThan(8);
  for (const step of done!.steps) {
    expect(step).toMatchObject({ state: State.DONE, tries: 1 });
    expect(durationMs(step.duration!)).toBeGreaterThanOrEqual(0);
  }
  await world.restart();
  expect(await newest(world)).toEqual(done);
});

test("one that failed shows which step, why, and that each is undone", async () => {
  await using world = await newWorld({ inMemory: true });
  await prepareDisk(world);
  world.fakeNodes[0]!.drivers.compute.faults.set("ensureStarted", {
    when: "after",
    what: new Error("no such machine type"),
  });
  await refused(world.virtualMachines.createVirtualMachine(webRequest()));
  const undone = await newest(world);
  expect(undone).toMatchObject({
    phase: Phase.UNDONE,
    error: expect.stringContaining("no such machine type"),
  });
  const failed = undone!.steps.filter(({ error }) => error !== "");
  expect(failed.map(({ name }) => name)).toEqual(["domain.start_new"]);
  for (const step of undone!.steps) {
    expect(step).toMatchObject({ state: State.UNDONE, undo: { tries: 1, error: "" } });
    expect(step.undo?.duration).toBeDefined();
  }
});

test("a step that was cut off by the end of a process has failed, those before it are known to be done", async () => {
  await using world = await newWorld({ inMemory: true });
  await prepareDisk(world);
  world.faults = ({ step, point }) => {
    if (step === "network.make_tap" && point === "before_act") throw new SimulatedCrash();
  };
  await refused(world.virtualMachines.createVirtualMachine(webRequest()));
  const gate = newGate();
  const restarted = world.restart(({ point }) =>
    point === "before_undo" ? gate.pass() : undefined,
  );
  await until(
    async () => (await newest(world))?.steps.some(({ undo }) => undo !== undefined) === true,
  );
  const seen = await newest(world);
  expect(seen!.phase).toBe(Phase.UNWINDING);
  expect(seen!.steps.map(({ state }) => state)).toEqual([
    ...Array.from({ length: 6 }, () => State.DONE),
    State.UNDOING,
  ]);
  expect(seen!.steps.slice(0, 6).every(({ duration }) => duration !== undefined)).toBe(true);
  expect(seen!.steps[6]).toMatchObject({ name: "network.make_tap", undo: { tries: 1 } });
  gate.open();
  await restarted;
});

test("one that waits for a key shows who holds it and since when, before anything of it is written", async () => {
  const { world, gate, made } = await newHeldWorld();
  await using _ = world;
  const holder = await newest(world);
  const waiting = world.virtualMachines.bootVirtualMachine({ name: "web" });
  await until(async () => (await newest(world, "BootVirtualMachine")) !== undefined);
  const waiter = await newest(world, "BootVirtualMachine");
  expect(waiter).toMatchObject({
    phase: Phase.RUNNING,
    steps: [],
    wait: {
      since: {},
      cause: {
        case: "lock",
        value: {
          resource: "virtual_machine/web",
          holderRpc: "CreateVirtualMachine",
          holderTransactionId: holder!.id,
        },
      },
    },
  });
  gate.open();
  await Promise.all([made, waiting]);
  const then = (await world.transactions.getTransaction({ id: waiter!.id })).transaction;
  expect(then).toMatchObject({ phase: Phase.DONE });
});

test("a watch of one shows each step, and ends when it is at rest", async () => {
  const { world, gate, made } = await newHeldWorld();
  await using _ = world;
  const { id } = (await newest(world))!;
  const watch = reader(world.transactions.watchTransactions({ id }));
  const all = [(await watch.next()).transaction!];
  gate.open();
  await made;
  while (all.at(-1)!.phase !== Phase.DONE) all.push((await watch.next()).transaction!);
  expect(await watch.ended()).toBe(true);
  expect(all[0]?.phase).toBe(Phase.RUNNING);
  expect(all.at(-1)?.phase).toBe(Phase.DONE);
  const counts = all.map(({ steps }) => steps.length);
  expect(counts).toEqual(counts.toSorted((a, b) => a - b));
  // Each step is there while it acts, or at least at the next change.
  const names = new Set(all.flatMap(({ steps }) => steps.map(({ name }) => name)));
  expect([...names]).toContain("domain.release");
  const last = await collect(world.transactions.watchTransactions({ id }));
  expect(last.map(({ transaction }) => transaction?.phase)).toEqual([Phase.DONE]);
});

test("a watch of all shows those that are open, and then each that changes", async () => {
  const { world, gate, made } = await newHeldWorld();
  await using _ = world;
  const watch = reader(world.transactions.watchTransactions({}));
  expect((await watch.next()).transaction?.rpc).toBe("CreateVirtualMachine");
  expect((await watch.next()).synced).toBe(true);
  gate.open();
  await made;
  await watch.find(({ transaction }) => transaction?.phase === Phase.DONE);
  const user = world.users.createUser({ name: "ann" });
  const { transaction } = await watch.find((change) => change.transaction?.rpc === "CreateUser");
  expect(transaction?.resources).toEqual(["user/ann"]);
  await user;
});

test("a record that is PENDING names its transaction, and an unknown one is not found", async () => {
  const { world, gate, made } = await newHeldWorld();
  await using _ = world;
  const { transactionId } = await world.virtualMachines.getVirtualMachine({ name: "web" });
  const { transaction } = await world.transactions.getTransaction({ id: transactionId });
  expect(transaction?.rpc).toBe("CreateVirtualMachine");
  gate.open();
  await made;
  expect(await refused(world.transactions.getTransaction({ id: "0-0" }))).toMatchObject({
    code: "NotFound",
    message: 'transaction "0-0" does not exist',
  });
  const watching = collect(world.transactions.watchTransactions({ id: "0-0" }));
  expect((await refused(watching)).code).toBe("NotFound");
});
