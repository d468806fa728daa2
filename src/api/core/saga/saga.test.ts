import { expect, test } from "vitest";
import { newWorld, type World } from "../../../../test/world.ts";
import { runUnanswered } from "./saga.ts";

const call = () => ({
  signal: new AbortController().signal,
  responseHeader: new Headers(),
  requestHeader: new Headers(),
});

const DISKS = ["a", "b", "c"].map((name) => `block_storage/${name}`);
const [A = "", B = "", C = ""] = DISKS;

async function expectNothingHeld({ opened: { api } }: World) {
  expect(await api.locks.list()).toEqual([]);
  expect(api.engine.live.all()).toEqual([]);
}

test("keys that differ once they are held are let go, and those that are asked for then are taken", async () => {
  await using world = await newWorld({ inMemory: true });
  const { api } = world.opened;
  const answers = [[A], [C, B], [B, C]];
  const keys = async () => answers.shift() ?? [];
  const guards = await runUnanswered(api, call(), { kind: "Test", keys }, async (tx) => {
    const holders = await Promise.all(DISKS.map((key) => api.locks.holderOf(key)));
    expect(holders.map((holder) => holder?.transactionId)).toEqual([undefined, tx.id, tx.id]);
    await tx.commit({});
    return tx.header.guards;
  });
  expect(guards).toEqual([C, B]);
  expect(answers).toEqual([]);
  await expectNothingHeld(world);
});

test("keys that never settle are given up, with nothing held", async () => {
  await using world = await newWorld({ inMemory: true });
  const { api } = world.opened;
  let turn = 0;
  const keys = async () => [DISKS[turn++ % 2] ?? ""];
  const before = await world.residue();
  const begun = runUnanswered(api, call(), { kind: "Test", keys }, () => Promise.reject(turn));
  await expect(begun).rejects.toMatchObject({
    kind: "aborted",
    message: "Test: other transactions keep changing its objects: try again",
  });
  await expectNothingHeld(world);
  expect(await world.residue()).toEqual(before);
});

test("what has gone by the time that its keys are held is refused, with nothing held", async () => {
  await using world = await newWorld({ inMemory: true });
  const gone = new Error("gone");
  let isGone = false;
  const keys = async () => {
    if (isGone) throw gone;
    isGone = true;
    return [A];
  };
  const begun = runUnanswered(world.opened.api, call(), { kind: "Test", keys }, async () => {});
  await expect(begun).rejects.toBe(gone);
  await expectNothingHeld(world);
});
