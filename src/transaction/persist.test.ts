import { expect, test } from "vitest";
import { newFakeClock } from "../../test/fake-clock.ts";
import { N0Error } from "../util/errors.ts";
import { SimulatedCrash } from "./faults.ts";
import { GaveUpError, persist } from "./persist.ts";

function setUp(fraction = 1) {
  const clock = newFakeClock();
  const stop = new AbortController();
  const tries: number[] = [];
  const random = { uuid: () => "", token: () => "", fraction: () => fraction };
  const failWith = (reasonOf: (n: number) => Error | undefined) => {
    const work = async () => {
      tries.push(clock.monotonicMs());
      const reason = reasonOf(tries.length);
      if (reason !== undefined) throw reason;
    };
    const done = persist(work, { clock, random, signal: stop.signal, giveUpAfterMs: 0 });
    done.catch(() => undefined);
    return done;
  };
  return { clock, stop, tries, failWith };
}

const passing = new N0Error("unavailable", "not now");

test("what succeeds is done once and does not wait", async () => {
  const { tries, failWith, clock } = setUp();
  await failWith(() => undefined);
  expect(tries).toHaveLength(1);
  expect(clock.sleepers).toBe(0);
});

test("the delays double up to five seconds", async () => {
  const { clock, tries, failWith } = setUp();
  const done = failWith((n) => (n < 9 ? passing : undefined));
  await clock.advance(60_000);
  await done;
  const delays = tries.slice(1).map((atMs, i) => Math.round(atMs - tries[i]!));
  expect(delays).toEqual([200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]);
});

test("jitter takes half of a delay away at most", async () => {
  const { clock, tries, failWith } = setUp(0);
  const done = failWith((n) => (n < 3 ? passing : undefined));
  await clock.advance(1_000);
  await done;
  expect(tries).toEqual([0, 100, 300]);
});

test("what passes is waited for, for days", async () => {
  const { clock, tries, failWith } = setUp();
  const done = failWith((n) => (n <= 5_000 ? passing : undefined));
  await clock.advance(24 * 3_600_000);
  await done;
  expect(tries).toHaveLength(5_001);
});

test("what does not pass is given up after five tries, with its reason", async () => {
  const { clock, tries, failWith } = setUp();
  const reason = new Error("a bug");
  const done = failWith(() => reason);
  await clock.advance(60_000);
  await expect(done).rejects.toThrow(GaveUpError);
  await expect(done).rejects.toMatchObject({ cause: reason });
  expect(tries).toHaveLength(5);
});

test("only failures that do not pass count for giving up", async () => {
  const { clock, tries, failWith } = setUp();
  const done = failWith((n) => (n % 3 === 0 ? new Error("a bug") : passing));
  await clock.advance(600_000);
  await expect(done).rejects.toThrow(GaveUpError);
  expect(tries).toHaveLength(15);
});

test("the process's end ends the waiting, with its reason, and leaves no sleeper", async () => {
  const { clock, stop, failWith } = setUp();
  const done = failWith(() => passing);
  await clock.advance(50);
  expect(clock.sleepers).toBe(1);
  const reason = new Error("stopping");
  stop.abort(reason);
  await expect(done).rejects.toBe(reason);
  expect(clock.sleepers).toBe(0);
});

test("work that fails as the process ends is not tried again", async () => {
  const { tries, stop, failWith } = setUp();
  const done = failWith(() => {
    stop.abort(new Error("stopping"));
    return new Error("cut off");
  });
  await expect(done).rejects.toThrow("stopping");
  expect(tries).toHaveLength(1);
});

test("a simulated crash goes through at once", async () => {
  const { tries, failWith } = setUp();
  await expect(failWith(() => new SimulatedCrash())).rejects.toThrow(SimulatedCrash);
  expect(tries).toHaveLength(1);
});
