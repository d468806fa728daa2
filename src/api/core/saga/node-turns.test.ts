import { expect, test } from "vitest";
import { type FakeClock, newFakeClock } from "../../../../test/fake-clock.ts";
import { NodeTurns } from "./node-turns.ts";

const never = new AbortController().signal;

/** Calls that end when they are told to. */
function newCalls(clock: FakeClock = newFakeClock()) {
  const turns = new NodeTurns(clock);
  const atNode: string[] = [];
  const ends: (() => void)[] = [];
  return {
    ...{ clock, turns, atNode },
    ask: (nodeName: string, project: string, name: string, signal = never) =>
      turns.run({ nodeName, project, signal }, () => {
        atNode.push(name);
        return new Promise<string>((resolve) => ends.push(() => resolve(name)));
      }),
    /** Ends the oldest, and waits until what follows has begun. */
    async endOne() {
      ends.shift()?.();
      await settled();
    },
  };
}

const settled = () => new Promise(setImmediate);

test("the first call of a project goes at once, and its next one waits for one of another's", async () => {
  const { ask, atNode, endOne } = newCalls();
  for (let i = 0; i < 500; i++) void ask("node-1", "flood", `flood-${i}`);
  const quiet = ["quiet-0", "quiet-1"].map((name) => ask("node-1", "quiet", name));
  await settled();
  expect(atNode).toHaveLength(9);
  for (let i = 0; i < 3; i++) await endOne();
  expect(atNode.slice(8)).toEqual(["quiet-0", "flood-8", "quiet-1"]);
  for (let i = 0; i < 8; i++) await endOne();
  await expect(Promise.all(quiet)).resolves.toEqual(["quiet-0", "quiet-1"]);
});

test("nodes do not wait for each other, and an idle node is forgotten", async () => {
  const { ask, atNode, endOne, turns } = newCalls();
  for (let i = 0; i < 20; i++) void ask("node-1", "flood", `flood-${i}`);
  void ask("node-2", "flood", "elsewhere");
  await settled();
  expect(atNode).toHaveLength(9);
  expect(atNode).toContain("elsewhere");
  for (let i = 0; i < 21; i++) await endOne();
  expect(turns.busyNodes).toBe(0);
});

test("a node that hangs gets every call, a few every two seconds", async () => {
  const { ask, atNode, clock } = newCalls();
  for (let i = 0; i < 20; i++) void ask("node-1", "flood", `${i}`);
  await settled();
  await clock.advance(1_999);
  expect(atNode).toHaveLength(8);
  await clock.advance(1);
  await settled();
  expect(atNode).toHaveLength(16);
  await clock.advance(2_000);
  await settled();
  expect(atNode).toHaveLength(20);
});

test("a call whose work should stop waits no longer, and never reaches the node", async () => {
  const { ask, atNode, endOne } = newCalls();
  for (let i = 0; i < 8; i++) void ask("node-1", "flood", `flood-${i}`);
  const stop = new AbortController();
  const stopped = ask("node-1", "flood", "stopped", stop.signal);
  const later = ask("node-1", "flood", "later");
  await settled();
  stop.abort(new Error("the client gave up"));
  await expect(stopped).rejects.toThrow("the client gave up");
  await expect(ask("node-1", "flood", "too late", stop.signal)).rejects.toThrow("gave up");
  for (let i = 0; i < 9; i++) await endOne();
  await expect(later).resolves.toBe("later");
  expect(atNode.slice(8)).toEqual(["later"]);
});

test("a call that fails gives its turn back, and no timer stays", async () => {
  const { turns, clock } = newCalls();
  const call = async () => {
    throw new Error("the node says no");
  };
  for (let i = 0; i < 20; i++) {
    const place = { nodeName: "node-1", project: "a", signal: never };
    await expect(turns.run(place, call)).rejects.toThrow("the node says no");
  }
  await settled();
  expect(clock.sleepers).toBe(0);
  expect(turns.busyNodes).toBe(0);
});
