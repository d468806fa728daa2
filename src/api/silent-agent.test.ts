import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { refused } from "../../test/refused.ts";
import { GiB, MiB, prepareDisk, webRequest } from "../../test/scenario.ts";
import { hurried, newWorld, type World } from "../../test/world.ts";
import { blankQcow2 } from "../driver/volume/image/blank-qcow2.ts";
import { VirtualMachine_VirtualMachineState as State } from "../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { untilAborted } from "../util/race.ts";
import { until } from "../util/until.ts";

const disk = { name: "disk", requestBytes: GiB, limitBytes: GiB };

async function restsAs(world: World, before: Awaited<ReturnType<World["residue"]>>) {
  await until(async () => world.opened.api.engine.openCount === 0);
  expect(await world.residue()).toEqual(before);
}

test("an agent that is down: unavailable, and all is undone that did not need it", async () => {
  await using world = await newWorld({ clock: hurried });
  await prepareDisk(world);
  const before = await world.residue();
  world.fakeNodes[0]!.isDown = true;
  const refusal = await refused(world.blockStorages.createBlockStorage(disk));
  expect(refusal).toMatchObject({ code: "Unavailable", rollback: "going_on" });
  expect(refusal.message).toContain('node "node-1"');
  const pending = await world.blockStorages.getBlockStorage({ name: "disk" });
  expect(pending.transactionId).not.toBe("");
  expect(await refused(world.blockStorages.createBlockStorage(disk))).toMatchObject({
    code: "Aborted",
  });
  world.fakeNodes[0]!.isDown = false;
  await restsAs(world, before);
  await world.blockStorages.createBlockStorage(disk);
});

test.for([
  "node.reserve_compute",
  "domain.write_new_seed",
  "network.make_tap",
  "domain.start_new",
  "network.attach_tap",
])(
  "an agent that goes down after %s and comes back: nothing is left, and it can be made again",
  async (step) => {
    await using world = await newWorld({ clock: hurried });
    await prepareDisk(world);
    const before = await world.residue();
    const node = world.fakeNodes[0]!;
    world.faults = (place) => {
      if (place.step === step && place.point === "after_act") node.isDown = true;
    };
    const refusal = await refused(world.virtualMachines.createVirtualMachine(webRequest()));
    expect(refusal.code).toBe("Unavailable");
    expect((await world.virtualMachines.getVirtualMachine({ name: "web" })).state).toBe(
      State.PENDING,
    );
    world.faults = () => {};
    node.isDown = false;
    await restsAs(world, before);
    await world.virtualMachines.createVirtualMachine(webRequest());
  },
);

test("an agent that restarts in the middle is no different from one that was down", async () => {
  await using world = await newWorld({ clock: hurried });
  await prepareDisk(world);
  const before = await world.residue();
  world.faults = async ({ step, point }) => {
    if (step !== "domain.start_new" || point !== "after_act") return;
    await world.fakeNodes[0]!.restart();
    throw new ConnectError("lost", Code.Unavailable);
  };
  await refused(world.virtualMachines.createVirtualMachine(webRequest()));
  world.faults = () => {};
  await restsAs(world, before);
});

test("an agent that hangs: the caller's deadline ends it, and nothing is left", async () => {
  await using world = await newWorld();
  const before = await world.residue();
  const { volume } = world.fakeNodes[0]!.drivers;
  volume.before = async ({ method, signal }) => {
    if (method === "ensureEmpty") await untilAborted(signal);
  };
  const beganMs = performance.now();
  const hanging = world.blockStorages.createBlockStorage(disk, { timeoutMs: 200 });
  expect((await refused(hanging)).code).toMatch(/^(DeadlineExceeded|Unavailable)$/);
  expect(performance.now() - beganMs).toBeLessThan(10_000);
  volume.before = () => {};
  await restsAs(world, before);
});

test("a client that hangs up in the middle of a fetch: the fetch ends, and nothing is left", async () => {
  await using world = await newWorld();
  const before = await world.residue();
  const { volume } = world.fakeNodes[0]!.drivers;
  const sourceUrl = "https://images.example/slow";
  volume.sources.set(sourceUrl, blankQcow2(64n * MiB));
  const client = new AbortController();
  let wasAborted = false;
  volume.before = async ({ method, signal }) => {
    if (method !== "ensureFetched") return;
    client.abort();
    await untilAborted(signal).finally(() => {
      wasAborted = true;
    });
  };
  const call = { signal: client.signal };
  await refused(world.blockStorages.fetchBlockStorage({ ...disk, sourceUrl }, call));
  await restsAs(world, before);
  expect(wasAborted).toBe(true);
});

test("a deletion whose agent goes down after the pivot is finished when it is back", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  const before = await world.residue();
  await world.virtualMachines.createVirtualMachine(webRequest());
  const node = world.fakeNodes[0]!;
  world.faults = ({ kind, point }) => {
    if (kind === "DeleteVirtualMachine" && point === "after_commit") node.isDown = true;
  };
  // Time enough to get there, also for a busy machine.
  const call = { timeoutMs: 2_000 };
  const deleting = world.virtualMachines.deleteVirtualMachine({ name: "web" }, call);
  expect((await refused(deleting)).code).toBe("DeadlineExceeded");
  expect(await world.virtualMachines.getVirtualMachine({ name: "web" })).toMatchObject({
    state: State.PENDING,
  });
  node.isDown = false;
  await restsAs(world, before);
});

test("a deletion whose agent is down is refused before anything is done", async () => {
  await using world = await newWorld({ clock: hurried });
  await prepareDisk(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
  const before = await world.residue();
  world.fakeNodes[0]!.isDown = true;
  expect(await refused(world.virtualMachines.deleteVirtualMachine({ name: "web" }))).toMatchObject({
    code: "Unavailable",
  });
  expect(await world.residue()).toEqual(before);
});

test.for([
  ["serves other things", createRouterTransport(() => {})],
  ["answers rubbish", answering(new ConnectError("protocol error", Code.Unknown))],
  ["answers with a proxy's page", answering(new ConnectError("HTTP 502", Code.Internal))],
] as const)("what %s in the place of an agent: unavailable", async ([, transport]) => {
  await using world = await newWorld({ clock: hurried });
  Object.assign(world.fakeNodes[0]!, { transport });
  await world.restart();
  const refusal = await refused(world.blockStorages.createBlockStorage(disk));
  expect(refusal.code).toBe("Unavailable");
  expect(refusal.message).toContain("not an agent");
});

function answering(reason: ConnectError) {
  const answer = () => Promise.reject(reason);
  return { unary: answer, stream: answer };
}
