import { expect, test } from "vitest";
import { newGate } from "../../../../test/gate.ts";
import { refused } from "../../../../test/refused.ts";
import { GiB, prepareDisk, prepareImage, webRequest } from "../../../../test/scenario.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import { BlockStorage_BlockStorageState as State } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";

import { changeState, SET_IN_USE } from "./states.ts";

const name = "disk";
const size = { requestBytes: GiB, limitBytes: GiB };

type Verb = "setInuse" | "setProtected" | "setAvailable" | "delete" | "undelete";

const verbs: Record<Verb, (world: World) => Promise<{ readonly state: State }>> = {
  setInuse: (world) => world.blockStorages.setInuseBlockStorage({ name }),
  setProtected: (world) => world.blockStorages.setProtectedBlockStorage({ name }),
  setAvailable: (world) => world.blockStorages.setAvailableBlockStorage({ name }),
  delete: (world) => world.blockStorages.deleteBlockStorage({ name }),
  undelete: (world) => world.blockStorages.undeleteBlockStorage({ name }),
};

const purge = (world: World) => world.blockStorages.purgeBlockStorage({ name });

/** What each verb makes of a disk in each state; what is not named is refused. */
const table: Record<
  Verb,
  Partial<Record<"AVAILABLE" | "IN_USE" | "PROTECTED" | "DELETED", State>>
> = {
  setInuse: { AVAILABLE: State.IN_USE },
  setProtected: { AVAILABLE: State.PROTECTED },
  setAvailable: {
    AVAILABLE: State.AVAILABLE,
    IN_USE: State.AVAILABLE,
    PROTECTED: State.AVAILABLE,
    DELETED: State.AVAILABLE,
  },
  delete: { AVAILABLE: State.DELETED },
  undelete: { DELETED: State.AVAILABLE },
};

const ways = {
  AVAILABLE: [],
  IN_USE: ["setInuse"],
  PROTECTED: ["setProtected"],
  DELETED: ["delete"],
} as const;

test.for(
  (Object.keys(table) as Verb[]).flatMap((verb) =>
    (Object.keys(ways) as (keyof typeof ways)[]).map((from) => [verb, from] as const),
  ),
)("%s of a disk that is %s", async ([verb, from]) => {
  await using world = await newWorld();
  await world.blockStorages.createBlockStorage({ name, ...size, labels: { a: "b" } });
  for (const way of ways[from]) await verbs[way](world);
  const before = await world.residue();
  const to = table[verb][from];
  if (to === undefined) {
    const refusal = await refused(verbs[verb](world));
    expect(refusal).toMatchObject({ code: "FailedPrecondition", resource: "block_storage/disk" });
    expect(refusal.message).toContain(from);
    expect(await world.residue()).toEqual(before);
    return;
  }
  const after = await verbs[verb](world);
  expect(after).toMatchObject({ state: to, labels: { a: "b" } });
  expect(await world.blockStorages.getBlockStorage({ name })).toEqual(after);
});

test("no verb finds a disk that does not exist", async () => {
  await using world = await newWorld();
  const all = [...Object.values(verbs), purge];
  for (const verb of all) expect((await refused(verb(world))).code).toBe("NotFound");
});

test("a purge removes a deleted disk without a trace, and nothing else", async () => {
  await using world = await newWorld();
  const before = await world.residue();
  await world.blockStorages.createBlockStorage({ name, ...size });
  expect(await refused(world.blockStorages.purgeBlockStorage({ name }))).toMatchObject({
    code: "FailedPrecondition",
    message: expect.stringContaining("delete it first"),
  });
  await world.blockStorages.deleteBlockStorage({ name });
  expect(world.fakeNodes[0]?.snapshot().volumes).toHaveLength(1);
  await world.blockStorages.purgeBlockStorage({ name });
  expect(await world.residue()).toEqual(before);
});

test("what a virtual machine uses or an image holds is not set available by hand", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  await prepareImage(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
  const before = await world.residue();
  const used = await refused(world.blockStorages.setAvailableBlockStorage({ name: "root" }));
  expect(used).toMatchObject({ code: "FailedPrecondition" });
  expect(used.message).toContain('"web"');
  const held = await refused(world.blockStorages.setAvailableBlockStorage({ name: "base" }));
  expect(held).toMatchObject({ code: "FailedPrecondition" });
  expect(held.message).toContain('"debian"');
  expect(await world.residue()).toEqual(before);
});

test("a disk that is being made is busy for Create and Delete, who are told with what and when to return", async () => {
  await using world = await newWorld();
  const gate = newGate();
  world.fakeNodes[0]!.drivers.volume.before = async ({ method }) => {
    if (method === "ensureEmpty") await gate.pass();
  };
  const making = world.blockStorages.createBlockStorage({ name, ...size });
  await gate.reached;
  const calls = [
    world.blockStorages.createBlockStorage({ name, ...size }),
    world.blockStorages.deleteBlockStorage({ name }),
    world.blockStorages.updateBlockStorage({ name, labels: { a: "b" } }),
  ];
  for (const refusal of await Promise.all(calls.map(refused))) {
    expect(refusal).toMatchObject({ code: "Aborted", resource: "block_storage/disk" });
    expect(refusal.message).toContain("CreateBlockStorage");
    expect(refusal.retryAfterMs).toBeGreaterThan(0);
  }
  gate.open();
  await making;
});

test("extension methods wait in line for a disk that is being made", async () => {
  await using world = await newWorld();
  const gate = newGate();
  world.fakeNodes[0]!.drivers.volume.before = async ({ method }) => {
    if (method === "ensureEmpty") await gate.pass();
  };
  const making = world.blockStorages.createBlockStorage({ name, ...size });
  await gate.reached;
  const order: string[] = [];
  const first = verbs.setInuse(world).then(() => order.push("setInuse"));
  const second = verbs.setAvailable(world).then(() => order.push("setAvailable"));
  const third = verbs.setProtected(world).then(() => order.push("setProtected"));
  gate.open();
  await Promise.all([making, first, second, third]);
  expect(order).toEqual(["setInuse", "setAvailable", "setProtected"]);
});

test("who waits gives up at his deadline, and the line goes on without him", async () => {
  await using world = await newWorld();
  const gate = newGate();
  world.fakeNodes[0]!.drivers.volume.before = async ({ method }) => {
    if (method === "ensureEmpty") await gate.pass();
  };
  const making = world.blockStorages.createBlockStorage({ name, ...size });
  await gate.reached;
  const atOnce = world.blockStorages.setInuseBlockStorage({ name }, { timeoutMs: 50 });
  const call = {
    signal: AbortSignal.timeout(50),
    requestHeader: new Headers(),
    responseHeader: new Headers(),
  };
  // Past the client's own deadline, which may be a little earlier.
  const impatient = changeState(world.opened.api, call, name, SET_IN_USE);
  const patient = verbs.setProtected(world);
  expect((await refused(atOnce)).code).toMatch(/^(Aborted|DeadlineExceeded)$/);
  await expect(impatient).rejects.toMatchObject({
    kind: "aborted",
    message: expect.stringContaining("CreateBlockStorage"),
  });
  gate.open();
  await making;
  expect((await patient).state).toBe(State.PROTECTED);
  expect((await world.residue()).locks).toBe(0);
});

test("a purge of a disk that something on its node rests on, unknown to any record, is refused", async () => {
  await using world = await newWorld({ inMemory: true });
  await world.blockStorages.createBlockStorage({ name, requestBytes: GiB, limitBytes: GiB });
  await world.blockStorages.deleteBlockStorage({ name });
  const { volume } = world.fakeNodes[0]!.drivers;
  const [base] = volume.snapshot();
  const never = new AbortController().signal;
  await volume.ensureOverlay("stray", base!.id, GiB, base!.mark, never);
  const before = await world.residue();
  expect(await refused(purge(world))).toMatchObject({
    code: "FailedPrecondition",
    message: expect.stringMatching(/^node "node-1": volume ".*" is the base of 1 others \(stray\)/),
    rollback: "done",
  });
  expect(await world.residue()).toEqual(before);
  await volume.ensureAbsent("stray", never);
  await purge(world);
  expect(volume.snapshot()).toEqual([]);
});
