import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, onTestFinished, test } from "vitest";
import { newGate } from "../../../../test/gate.ts";
import { userRef, vmRef } from "../../../../test/refs.ts";
import { refused } from "../../../../test/refused.ts";
import { SSH_KEY } from "../../../../test/scenario.ts";
import { newShiftingClock } from "../../../../test/shifting-clock.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import { put } from "../../../datastore/collection.ts";
import { merge } from "../../../datastore/datastore.ts";
import { openCollection, transactionCollection } from "../../../datastore/datastore-journal.ts";
import { Phase } from "../../../gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import type { TransactionHeader } from "../../../transaction/journal.ts";
import { timePrefix } from "../../../transaction/transaction-id.ts";
import { until } from "../../../util/until.ts";
import { users } from "../../iam/user/collection.ts";
import { virtualMachines } from "../../provisioning/virtual-machine/collection.ts";

const START_MS = 1_700_000_000_000;

/** `count` transactions, one a second, which others of the world are newer than. */
async function writeHistory(
  world: World,
  count: number,
  of: (i: number) => Partial<TransactionHeader>,
): Promise<void> {
  const { datastore } = world.opened.api;
  const header = (i: number): TransactionHeader => ({
    id: `${timePrefix(START_MS + i * 1_000)}-${i.toString(16).padStart(8, "0")}`,
    kind: "CreateUser",
    guards: [users.key(userRef(`user-${i}`))],
    startedAtMs: START_MS + i * 1_000,
    finishedAtMs: START_MS + i * 1_000 + 5,
    state: "done",
    isCommitted: true,
    ...of(i),
  });
  for (let i = 0; i < count; i += 500) {
    const some = Array.from({ length: Math.min(500, count - i) }, (_, j) => header(i + j));
    await datastore.batch(
      merge(
        ...some.map((one) => put(transactionCollection, [one.id], { ...one })),
        ...some
          .filter(({ state }) => state !== "done" && state !== "unwound")
          .map(({ id }) => put(openCollection, [id], {})),
      ),
    );
  }
}

async function newHistory(
  count: number,
  of: (i: number) => Partial<TransactionHeader> = () => ({}),
) {
  const world = await newWorld({ nodeCount: 0 });
  onTestFinished(() => world[Symbol.asyncDispose]());
  await writeHistory(world, count, of);
  return world;
}

test("the newest come first, a page at a time, each once", async () => {
  const world = await newHistory(25);
  await world.users.createUser({ name: "ann" });
  const seen: string[] = [];
  for (let pageToken = ""; ; ) {
    const page = await world.transactions.listTransactions({ pageSize: 10, pageToken });
    seen.push(...page.transactions.map(({ resources }) => resources[0]!));
    pageToken = page.nextPageToken;
    if (pageToken === "") break;
  }
  const older = Array.from({ length: 25 }, (_, i) => `user/user-${24 - i}`);
  expect(seen).toEqual(["user/ann", ...older]);
});

test("it lists only what is asked for: open, phase, RPC, resource, node, time", async () => {
  const world = await newHistory(40, (i) => ({
    state: i % 10 === 0 ? "needs_operator" : i % 2 === 0 ? "unwound" : "done",
    ...(i % 4 === 0 ? { kind: "DeleteUser" } : {}),
    ...(i % 5 === 0 ? { nodes: ["node-1", "node-2"] } : {}),
    ...(i === 7
      ? { guards: [virtualMachines.key(vmRef("web")), users.key(userRef("extra"))] }
      : {}),
  }));
  const list = async (request: Parameters<typeof world.transactions.listTransactions>[0]) =>
    (await world.transactions.listTransactions(request)).transactions.length;
  expect(await list({})).toBe(40);
  expect(await list({ openOnly: true })).toBe(4);
  expect(await list({ phases: [Phase.NEEDS_OPERATOR] })).toBe(4);
  expect(await list({ phases: [Phase.UNDONE] })).toBe(16);
  expect(await list({ phases: [Phase.UNDONE, Phase.NEEDS_OPERATOR] })).toBe(20);
  expect(await list({ rpc: "DeleteUser" })).toBe(10);
  expect(await list({ rpc: "DeleteUser", openOnly: true })).toBe(2);
  expect(await list({ resource: "user/user-8" })).toBe(1);
  expect(await list({ resource: "user/user" })).toBe(0);
  expect(await list({ resource: "virtual_machine" })).toBe(1);
  expect(await list({ resource: "user/extra" })).toBe(1);
  expect(await list({ node: "node-2" })).toBe(8);
  expect(await list({ since: timestampFromMs(START_MS + 30_000) })).toBe(10);
  expect(await list({ since: timestampFromMs(START_MS + 30_000), rpc: "DeleteUser" })).toBe(2);
});

test("those that wait for their keys are listed where they belong", async () => {
  const clock = newShiftingClock();
  await using world = await newWorld({ nodeCount: 0, clock });
  await world.users.createUser({ name: "ann" });
  const gate = newGate();
  world.faults = ({ point }) => (point === "before_commit" ? gate.pass() : undefined);
  const key = { userName: "ann", sshPublicKeyName: "k", sshPublicKey: SSH_KEY };
  const first = world.users.deleteUser({ name: "ann" });
  await gate.reached;
  clock.shiftMs(10);
  const second = world.users.addSshPublicKey(key);
  second.catch(() => undefined);
  const list = () => world.transactions.listTransactions({});
  await until(async () => (await list()).transactions[0]?.rpc === "AddSshPublicKey");
  for (const request of [{}, { openOnly: true }]) {
    const { transactions } = await world.transactions.listTransactions(request);
    expect(transactions.slice(0, 2).map(({ rpc }) => rpc)).toEqual([
      "AddSshPublicKey",
      "DeleteUser",
    ]);
    expect(transactions[0]?.wait?.cause.case).toBe("lock");
  }
  gate.open();
  await first;
  expect((await refused(second)).code).toBe("NotFound");
});

test("what is rare is looked for a part at a time, so that a list holds nobody up", async () => {
  const world = await newHistory(10_000, (i) => (i === 3 ? { kind: "Rare" } : {}));
  const pages: number[] = [];
  for (let pageToken = ""; ; ) {
    const page = await world.transactions.listTransactions({ rpc: "Rare", pageToken });
    pages.push(page.transactions.length);
    pageToken = page.nextPageToken;
    if (pageToken === "") break;
  }
  expect(pages).toEqual([0, 0, 1]);
});

test("a token that is none of ours is refused", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  for (const pageToken of ["!", "AA", Buffer.from("../x").toString("base64url")]) {
    expect(await refused(world.transactions.listTransactions({ pageToken }))).toMatchObject({
      code: "InvalidArgument",
      field: "page_token",
    });
  }
});
