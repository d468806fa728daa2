import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { refused } from "../../../../test/refused.ts";
import { GiB, prepareDisk, webRequest } from "../../../../test/scenario.ts";
import { hurried, newWorld, type World, withHeaders } from "../../../../test/world.ts";
import { CreateUserRequestSchema, UserService } from "../../../gen/n0stack/iam/v0/user_pb.ts";
import { SimulatedCrash } from "../../../transaction/faults.ts";
import { systemClock } from "../../../util/clock.ts";
import { kindOf, N0Error } from "../../../util/errors.ts";
import { until } from "../../../util/until.ts";
import { createUser } from "../../iam/user/write.ts";
import { keptRequests } from "./kept-request.ts";
import { KeyedRequests } from "./keyed-requests.ts";

const under = (world: World, key: string) => withHeaders(world, { "idempotency-key": key });
const disk = (name: string) => ({ name, requestBytes: GiB, limitBytes: GiB });

/** Stops the transactions of a kind at a point until it is told to let them go. */
function holdAt(world: World, point: string, kind: string) {
  const gate = Promise.withResolvers<void>();
  const hold = { count: 0, release: () => gate.resolve() };
  world.faults = async (place) => {
    if (place.point !== point || place.kind !== kind) return;
    hold.count += 1;
    await gate.promise;
  };
  return hold;
}

async function domainCount({ fakeNodes }: World): Promise<number> {
  return fakeNodes[0]!.drivers.compute.snapshot().domains.length;
}

test.each(["", "a b", "x".repeat(129), "schl\u00fcssel"])("%j is no key", async (key) => {
  await using world = await newWorld();
  const { blockStorages } = under(world, key);
  const refusal = await refused(blockStorages.createBlockStorage(disk("data")));
  expect(refusal).toMatchObject({ code: "InvalidArgument", field: "idempotency-key" });
  expect((await world.blockStorages.listBlockStorages({})).blockStorages).toEqual([]);
});

test("what changes nothing does not look at it", async () => {
  await using world = await newWorld();
  const { nodes } = under(world, "no key");
  expect((await nodes.listNodes({})).nodes).toHaveLength(1);
  for await (const { node } of nodes.watchNodes({})) {
    expect(node?.name).toBe("node-1");
    break;
  }
});

test("a key belongs to its RPC", async () => {
  await using world = await newWorld();
  const { blockStorages, users } = under(world, "1");
  await blockStorages.createBlockStorage(disk("data"));
  expect((await users.createUser({ name: "data" })).name).toBe("data");
  await blockStorages.deleteBlockStorage({ name: "data" });
});

test("what cannot be done is answered the same again, until another key asks anew", async () => {
  await using world = await newWorld();
  await world.users.createUser({ name: "me" });
  const first = await refused(under(world, "1").users.createUser({ name: "me" }));
  expect(first).toMatchObject({ code: "AlreadyExists", rollback: "done" });
  await world.users.deleteUser({ name: "me" });
  expect(await refused(under(world, "1").users.createUser({ name: "me" }))).toEqual(first);
  await under(world, "2").users.createUser({ name: "me" });
});

test("what may pass is tried anew under the same key", async () => {
  await using world = await newWorld({ clock: hurried });
  await prepareDisk(world);
  const { virtualMachines } = under(world, "1");
  world.fakeNodes[0]!.isDown = true;
  const refusal = await refused(virtualMachines.createVirtualMachine(webRequest()));
  expect(refusal.code).toBe("Unavailable");
  world.fakeNodes[0]!.isDown = false;
  const made = await virtualMachines.createVirtualMachine(webRequest());
  expect(await virtualMachines.createVirtualMachine(webRequest())).toEqual(made);
  expect(await domainCount(world)).toBe(1);
});

test("a client that goes away ends what it began only if no other waits for the same", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  const { virtualMachines } = under(world, "1");
  const hold = holdAt(world, "before_commit", "CreateVirtualMachine");
  const client = new AbortController();
  const first = virtualMachines.createVirtualMachine(webRequest(), { signal: client.signal });
  const ended = expect(first).rejects.toThrow();
  await until(() => hold.count === 1);
  await world.seen();
  const second = virtualMachines.createVirtualMachine(webRequest());
  await new Promise(setImmediate);
  client.abort();
  await ended;
  hold.release();
  expect((await second).name).toBe("web");
  expect(hold.count).toBe(1);
});

test("what was begun for a client that has gone is undone before it is begun anew", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  const { virtualMachines } = under(world, "1");
  const client = new AbortController();
  const gate = Promise.withResolvers<void>();
  let unwinds = 0;
  world.faults = async ({ point, step }) => {
    if (point === "before_act" && step === "domain.start_new" && unwinds === 0) client.abort();
    if (point !== "before_unwind") return;
    unwinds += 1;
    await gate.promise;
  };
  const first = virtualMachines.createVirtualMachine(webRequest(), { signal: client.signal });
  await expect(first).rejects.toThrow();
  await until(() => unwinds === 1);
  const second = virtualMachines.createVirtualMachine(webRequest());
  await new Promise(setImmediate);
  gate.resolve();
  const made = await second;
  expect(await world.virtualMachines.getVirtualMachine({ name: "web" })).toEqual(made);
  expect(await domainCount(world)).toBe(1);
});

test("after a crash the repeat waits for what is being undone, and is done then", async () => {
  await using world = await newWorld({ clock: hurried });
  await prepareDisk(world);
  const { virtualMachines } = under(world, "1");
  world.faults = ({ point, step }) => {
    if (point === "after_act" && step === "domain.start_new") throw new SimulatedCrash("died");
  };
  await expect(virtualMachines.createVirtualMachine(webRequest())).rejects.toThrow();
  world.fakeNodes[0]!.isDown = true;
  const { opened } = world;
  const restarted = world.restart();
  await until(() => world.opened !== opened);
  await new Promise(setImmediate);
  expect(world.opened.api.engine.openCount).toBe(1);
  const repeated = virtualMachines.createVirtualMachine(webRequest());
  const impatient = AbortSignal.timeout(20);
  await expect(
    virtualMachines.createVirtualMachine(webRequest(), { signal: impatient }),
  ).rejects.toThrow();
  world.fakeNodes[0]!.isDown = false;
  const made = await repeated;
  await restarted;
  expect(await virtualMachines.createVirtualMachine(webRequest())).toEqual(made);
  expect(await domainCount(world)).toBe(1);
});

test("what needs an operator is not begun anew, until it has been undone", async () => {
  await using world = await newWorld({ clock: hurried });
  await prepareDisk(world);
  const { virtualMachines } = under(world, "1");
  world.faults = ({ point, step }) => {
    const isCut = point === "before_undo" && step === "domain.start_new";
    if (point === "before_commit" || isCut) throw new Error("broken");
  };
  const create = () => refused(virtualMachines.createVirtualMachine(webRequest()));
  const stuck = { code: "Internal", rollback: "needs_operator" };
  expect(await create()).toMatchObject(stuck);
  world.faults = () => {};
  const again = await create();
  expect(again).toMatchObject(stuck);
  expect(again.message).toContain("needs an operator");
  await world.restart();
  expect((await virtualMachines.createVirtualMachine(webRequest())).name).toBe("web");
});

test.each([
  [
    "before_commit",
    "CreateVirtualMachine was stopped; the API is shutting down and will unwind it",
    "going_on",
  ],
  [
    "before_retriable",
    "DeleteVirtualMachine is committed; the API is shutting down and will finish it",
    undefined,
  ],
])(
  "a repeat that waits when the API ends is told which way it goes: %s",
  async (point, words, rollback) => {
    await using world = await newWorld({ clock: hurried });
    await prepareDisk(world);
    const { virtualMachines } = under(world, "1");
    const isCreate = point === "before_commit";
    if (!isCreate) await world.virtualMachines.createVirtualMachine(webRequest());
    const ask = async () => {
      if (isCreate) await virtualMachines.createVirtualMachine(webRequest());
      else await virtualMachines.deleteVirtualMachine({ name: "web" });
    };
    world.faults = (place) => {
      if (place.point === point) throw new SimulatedCrash("died");
    };
    await expect(ask()).rejects.toThrow();
    // It can go neither way while its node is away.
    world.fakeNodes[0]!.isDown = true;
    const { opened } = world;
    const restarted = world.restart();
    await until(() => world.opened !== opened);
    await new Promise(setImmediate);
    const repeated = refused(ask());
    await new Promise(setImmediate);
    const closed = world.opened[Symbol.asyncDispose]();
    const refusal = await repeated;
    expect(refusal).toMatchObject({ code: "Unavailable", rollback });
    expect(refusal.message).toContain(words);
    await Promise.all([restarted, closed]);
  },
);

test("a key is forgotten when its time is over", async () => {
  let nowMs = 1_700_000_000_000;
  const clock = { ...systemClock, nowMs: () => nowMs };
  await using world = await newWorld({ clock, idempotencyRetentionMs: 60_000 });
  const { users } = under(world, "1");
  const create = (name: string) => users.createUser({ name });
  await create("me");
  nowMs += 59_999;
  expect((await refused(create("other"))).code).toBe("InvalidArgument");
  nowMs += 1;
  expect((await create("other")).name).toBe("other");
  expect(await world.opened.api.datastore.list(keptRequests.prefix)).toHaveLength(1);
});

/** One that has nothing in memory of what the others do. */
function newProcess({ opened: { api } }: World) {
  const { datastore, engine, clock, shutdown } = api;
  const requests = new KeyedRequests({ datastore, engine, clock, retentionMs: 60_000, shutdown });
  const method = UserService.method.createUser;
  const ask = async (name: string): Promise<unknown> => {
    const call = {
      signal: new AbortController().signal,
      responseHeader: new Headers(),
      requestHeader: new Headers({ "idempotency-key": "1" }),
    };
    const request = create(CreateUserRequestSchema, { name });
    try {
      return await requests.run(method, request, call, (own) => createUser(api, own, request));
    } catch (reason) {
      // What its client does who is told to try again.
      if (kindOf(reason) !== "aborted") throw reason;
      return await ask(name);
    }
  };
  return { ask };
}

test("of processes that get the same request at once one does it, and all answer the same", async () => {
  await using world = await newWorld({ inMemory: true });
  let begun = 0;
  world.faults = ({ point }) => {
    if (point === "after_begin") begun += 1;
  };
  const processes = Array.from({ length: 4 }, () => newProcess(world));
  const answers = await Promise.all(processes.map(({ ask }) => ask("me")));
  expect(answers[0]).toMatchObject({ name: "me" });
  expect(answers).toEqual(Array.from({ length: 4 }, () => answers[0]));
  expect(begun).toBe(1);
  await expect(newProcess(world).ask("other")).rejects.toThrow("was used for another request");
});

test("a process waits for what another has under way, and begins it anew where that was undone", async () => {
  await using world = await newWorld({ inMemory: true });
  for (const point of ["before_commit", "before_unwind"]) {
    const hold = holdAt(world, point, "CreateUser");
    const { faults } = world;
    world.faults = async (place) => {
      await faults(place);
      // What may pass.
      if (place.point === "before_commit" && point === "before_unwind" && hold.count === 0) {
        throw new N0Error("unavailable", "away");
      }
    };
    const first = newProcess(world).ask("me");
    const ended = first.catch((reason: unknown) => kindOf(reason));
    await until(() => hold.count === 1);
    const second = newProcess(world).ask("me");
    await new Promise(setImmediate);
    hold.release();
    expect(await second).toMatchObject({ name: "me" });
    expect(await ended).toEqual(point === "before_commit" ? await second : "unavailable");
    world.faults = () => {};
    await world.users.deleteUser({ name: "me" });
    await world.opened.api.datastore.batch({
      deletes: [keptRequests.key("UserService.CreateUser", "1")],
    });
  }
});

test("no key, no record", async () => {
  await using world = await newWorld();
  await world.users.createUser({ name: "me" });
  expect(await world.opened.api.datastore.list(keptRequests.prefix)).toEqual([]);
});
