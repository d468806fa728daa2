import { expect, test } from "vitest";
import { newFakeClock } from "../../../../test/fake-clock.ts";
import { silentLog } from "../../../util/log.ts";
import { systemRandom } from "../../../util/random.ts";
import { Convergence } from "./convergence.ts";

const never = new AbortController().signal;

/** Two nodes that record what they get. */
function newNodes() {
  const clock = newFakeClock();
  const pushes: string[] = [];
  const silent = new Set<string>();
  const refused = new Map<string, string>();
  const stop = new AbortController();
  let gate = Promise.resolve();
  let failing = 0;
  const convergence = new Convergence({
    what: "things",
    async push(nodeName, keys) {
      pushes.push(`${nodeName}: ${keys.join(" ")}`);
      await gate;
      if (failing-- > 0) throw new Error("no answer");
      return new Map(keys.flatMap((key) => (refused.has(key) ? [[key, refused.get(key)!]] : [])));
    },
    isReachable: (nodeName) => !silent.has(nodeName),
    clock,
    random: systemRandom,
    log: silentLog,
    shutdown: stop.signal,
  });
  const mark = (nodeName: string, ...keys: string[]) => {
    for (const key of keys) convergence.mark({ nodeName, key });
  };
  return {
    ...{ clock, convergence, pushes, silent, refused, stop, mark },
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return () => {
        gate = Promise.resolve();
        resolve();
      };
    },
    fail(times: number) {
      failing = times;
    },
  };
}

test("what is marked together is sent together, and what is marked meanwhile is sent once", async () => {
  const { convergence, mark, pushes, hold, clock } = newNodes();
  const release = hold();
  mark("a", "x", "y");
  mark("b", "x");
  await clock.advance(0);
  expect(pushes).toEqual(["a: x y", "b: x"]);
  for (let i = 0; i < 100; i++) mark("a", "x", "z");
  await clock.advance(0);
  expect(pushes).toHaveLength(2);
  release();
  await convergence.atRest();
  expect(pushes).toEqual(["a: x y", "b: x", "a: x z"]);
  expect(convergence.isReached({ nodeName: "a", key: "x" })).toBe(true);
});

test("a silent node is not asked, and gets everything once when it is back", async () => {
  const { convergence, mark, pushes, silent, clock } = newNodes();
  silent.add("a");
  for (let i = 0; i < 50; i++) mark("a", `x${i % 3}`);
  await clock.advance(60_000);
  expect(pushes).toEqual([]);
  expect(convergence.isReached({ nodeName: "a", key: "x0" })).toBe(false);
  silent.delete("a");
  convergence.wake("a");
  await convergence.atRest();
  expect(pushes).toEqual(["a: x0 x1 x2"]);
  convergence.wake("a");
  await convergence.atRest();
  expect(pushes).toHaveLength(1);
});

test("a push that fails is repeated after a pause, however much happens meanwhile", async () => {
  const { convergence, mark, pushes, fail, clock } = newNodes();
  fail(2);
  mark("a", "x");
  await convergence.atRest();
  expect(pushes).toEqual(["a: x"]);
  mark("a", "y");
  await clock.advance(100);
  expect(pushes).toHaveLength(1);
  await clock.advance(10_000);
  expect(pushes).toEqual(["a: x", "a: x y", "a: x y"].map((text) => sorted(text)));
  expect(convergence.isReached({ nodeName: "a", key: "x" })).toBe(true);
});

/** Keys that failed come after those that were marked since. */
function sorted(text: string): unknown {
  const [head, ...keys] = text.split(" ");
  return keys.length < 2 ? text : expect.stringMatching(new RegExp(`^${head} (x y|y x)$`));
}

test("a node that comes back is not waited for", async () => {
  const { convergence, mark, pushes, fail } = newNodes();
  fail(1);
  mark("a", "x");
  await convergence.atRest();
  convergence.wake("a");
  await convergence.atRest();
  expect(pushes).toEqual(["a: x", "a: x"]);
});

test("what a node refuses holds up nothing else, and is tried again later", async () => {
  const { convergence, mark, pushes, refused, clock } = newNodes();
  refused.set("x", "no room");
  mark("a", "x", "y");
  await convergence.atRest();
  expect(convergence.refusal({ nodeName: "a", key: "x" })).toBe("no room");
  expect(convergence.isReached({ nodeName: "a", key: "y" })).toBe(true);
  mark("a", "z");
  await convergence.atRest();
  expect(pushes).toEqual(["a: x y", "a: z"]);
  refused.clear();
  await clock.advance(30_000);
  expect(pushes.at(-1)).toBe("a: x");
  expect(convergence.refusal({ nodeName: "a", key: "x" })).toBeUndefined();
  await clock.advance(120_000);
  expect(pushes).toHaveLength(3);
});

test("a request waits for what was marked before it, and no longer than its limit", async () => {
  const { convergence, mark, hold, clock } = newNodes();
  const release = hold();
  mark("a", "x");
  const places = [{ nodeName: "a", key: "x" }];
  let ended = "";
  const first = convergence.reached(places, 1_000, never).then(() => (ended += "first "));
  await clock.advance(999);
  expect(ended).toBe("");
  await clock.advance(1);
  await first;
  expect(ended).toBe("first ");
  const second = convergence.reached(places, 1_000, never);
  release();
  await second;
  expect(convergence.isReached(places[0]!)).toBe(true);
  // Nothing is left that waits.
  expect(clock.sleepers).toBe(0);
});

test("pushes that nobody waits for take a tenth of the time, and what somebody waits for goes at once", async () => {
  const { convergence, mark, pushes, hold, clock } = newNodes();
  const pushSlowly = async (key: string) => {
    const release = hold();
    mark("a", key);
    await clock.advance(10);
    release();
    await clock.advance(0);
  };
  await pushSlowly("x");
  mark("a", "y");
  await clock.advance(80);
  mark("a", "z");
  await clock.advance(9);
  expect(pushes).toEqual(["a: x"]);
  await clock.advance(1);
  expect(pushes).toEqual(["a: x", "a: y z"]);
  await pushSlowly("x");
  mark("a", "y");
  await clock.advance(1);
  expect(pushes).toHaveLength(3);
  await convergence.reached([{ nodeName: "a", key: "y" }], 60_000, never);
  expect(pushes.slice(2)).toEqual(["a: x", "a: y"]);
  expect(clock.sleepers).toBe(0);
});

test("nobody waits for a node that is silent, or whose last push has failed", async () => {
  const { convergence, mark, fail, silent } = newNodes();
  fail(1);
  mark("a", "x");
  await convergence.reached([{ nodeName: "a", key: "x" }], 60_000, never);
  await convergence.reached([{ nodeName: "a", key: "x" }], 60_000, never);
  silent.add("b");
  mark("b", "x");
  await convergence.reached([{ nodeName: "b", key: "x" }], 60_000, never);
});

test("what is dropped is not sent any more, and what is marked after that is", async () => {
  const { convergence, mark, pushes, silent, hold } = newNodes();
  silent.add("a");
  mark("a", "x");
  convergence.drop({ nodeName: "a", key: "x" });
  silent.delete("a");
  const release = hold();
  mark("a", "y");
  await Promise.resolve();
  convergence.drop({ nodeName: "a", key: "y" });
  mark("a", "y");
  release();
  await convergence.atRest();
  expect(pushes).toEqual(["a: y", "a: y"]);
});

test("nothing is sent any more when the process ends", async () => {
  const { convergence, mark, pushes, stop, clock, refused } = newNodes();
  refused.set("x", "no room");
  mark("a", "x");
  await convergence.atRest();
  stop.abort();
  mark("a", "y");
  await clock.advance(60_000);
  expect(pushes).toEqual(["a: x"]);
  expect(clock.sleepers).toBe(0);
});
