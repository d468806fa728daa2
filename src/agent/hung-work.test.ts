import { expect, test } from "vitest";
import { newFakeClock } from "../../test/fake-clock.ts";
import { openLog } from "../util/log.ts";
import { newKeyedQueue } from "./keyed-queue.ts";
import { HUNG_AFTER_MS, HUNG_AFTER_REPEAT_MS } from "./running-work.ts";

const HUNG = {
  kind: "failed_precondition",
  message: expect.stringMatching(
    /^work on volume\/a hangs in the agent since .*: restart the agent/,
  ),
};

function setUp() {
  const clock = newFakeClock();
  const lines: string[] = [];
  const log = openLog({ write: (line) => lines.push(String(JSON.parse(line).message)) });
  const end = new AbortController();
  const queue = newKeyedQueue({ signal: end.signal, clock, log });
  return { clock, lines, end, queue };
}

/** Work that ignores its signal, until it is let go. */
function stubborn() {
  const { promise, resolve } = Promise.withResolvers<string>();
  const started = Promise.withResolvers<void>();
  const work = () => {
    started.resolve();
    return promise;
  };
  return { work, started: started.promise, letGo: () => resolve("done") };
}

/** How a promise stands, without waiting for it. */
function watched(promise: Promise<unknown>) {
  const seen: { reason?: unknown; value?: unknown } = {};
  promise.then(
    (value) => (seen.value = value),
    (reason: unknown) => (seen.reason = reason),
  );
  return seen;
}

test("work that ignores its signal hangs: what waits and what comes is refused until it ends", async () => {
  const { clock, lines, queue } = setUp();
  const act = stubborn();
  const running = queue.run("volume/a", 1n, act.work);
  await act.started;
  let undone = 0;
  const undo = async () => void (undone += 1);
  const first = watched(queue.run("volume/a", 2n, undo));
  const second = watched(queue.run("volume/a", 2n, undo));

  await clock.advance(HUNG_AFTER_MS - 1);
  expect([first, second, lines]).toEqual([{}, {}, []]);
  await clock.advance(1);
  expect(first.reason).toMatchObject(HUNG);
  expect(second.reason).toMatchObject(HUNG);
  expect(lines).toEqual(["work hangs: it does not end after it was aborted"]);
  expect(queue.runningKeys).toEqual(["volume/a"]);
  await expect(queue.run("volume/a", 3n, undo)).rejects.toMatchObject(HUNG);
  await expect(queue.run("volume/a", 2n, undo)).rejects.toMatchObject({ kind: "aborted" });
  await queue.run("volume/b", 1n, async () => {});
  expect(undone).toBe(0);

  act.letGo();
  await running;
  await queue.run("volume/a", 3n, undo);
  expect(undone).toBe(1);
  expect([queue.busyKeys, clock.sleepers]).toEqual([0, 0]);
  expect(lines).toEqual([
    "work hangs: it does not end after it was aborted",
    "hanging work has ended",
  ]);
});

test("an undo that hangs is found out when it is asked for again, though nothing newer comes", async () => {
  const { clock, queue } = setUp();
  const undo = stubborn();
  const running = queue.run("volume/a", 2n, undo.work);
  await undo.started;
  const again = watched(queue.run("volume/a", 2n, async () => {}));
  await clock.advance(HUNG_AFTER_REPEAT_MS);
  expect(again.reason).toMatchObject(HUNG);
  undo.letGo();
  await running;
});

test("work that takes long without being told to end does not hang", async () => {
  const { clock, lines, queue } = setUp();
  const act = stubborn();
  const running = queue.run("volume/a", 1n, act.work);
  await act.started;
  await clock.advance(10 * HUNG_AFTER_REPEAT_MS);
  act.letGo();
  await running;
  expect(lines).toEqual([]);
});

test("work that hangs again after it hung once is found out again", async () => {
  const { clock, queue } = setUp();
  for (let round = 1n; round <= 3n; round += 2n) {
    const act = stubborn();
    const running = queue.run("volume/a", round, act.work);
    await act.started;
    const undo = watched(queue.run("volume/a", round + 1n, async () => {}));
    await clock.advance(HUNG_AFTER_MS);
    expect(undo.reason).toMatchObject(HUNG);
    act.letGo();
    await running;
  }
  await queue.whenIdle();
});
