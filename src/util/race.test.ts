import { getEventListeners } from "node:events";
import process from "node:process";
import { expect, test } from "vitest";
import { systemClock } from "./clock.ts";
import { abortAfter, firstOf, onAbort, orAborted, untilAborted, within } from "./race.ts";

const never = new Promise<never>(() => {});
const gone = new Error("gone");

function setUp() {
  const stop = new AbortController();
  return {
    stop,
    signal: stop.signal,
    listening: () => getEventListeners(stop.signal, "abort").length,
  };
}

test("a listener is called once, also where the signal has aborted before", () => {
  const { stop, signal } = setUp();
  const heard: string[] = [];
  onAbort(signal, () => heard.push("before"));
  onAbort(signal, () => heard.push("removed"))[Symbol.dispose]();
  stop.abort();
  onAbort(signal, () => heard.push("after"));
  expect(heard).toEqual(["before", "after"]);
});

test("work that is quicker than the signal leaves no listener, whether it succeeds or fails", async () => {
  const { signal, listening } = setUp();
  expect(await orAborted(Promise.resolve(1), signal)).toBe(1);
  expect(await firstOf(Promise.resolve(1), signal)).toBe(1);
  await expect(orAborted(Promise.reject(gone), signal)).rejects.toBe(gone);
  await expect(firstOf(Promise.reject(gone), signal)).rejects.toBe(gone);
  expect(listening()).toBe(0);
});

test("a signal that is quicker than the work wins, before and while somebody waits", async () => {
  const { stop, signal } = setUp();
  const waiting = [orAborted(never, signal), untilAborted(signal)];
  const first = firstOf(never, signal);
  stop.abort(gone);
  for (const one of [...waiting, orAborted(never, signal), untilAborted(signal)]) {
    await expect(one).rejects.toBe(gone);
  }
  expect(await first).toBeUndefined();
  expect(await firstOf(never, signal)).toBeUndefined();
});

test("work within its time is answered, and later work is replaced or refused", async () => {
  expect(await within(systemClock, Promise.resolve(1), 60_000, () => 2)).toBe(1);
  expect(await within(systemClock, never, 1, () => 2)).toBe(2);
  const refused = within(systemClock, never, 1, () => {
    throw gone;
  });
  await expect(refused).rejects.toBe(gone);
  await expect(within(systemClock, Promise.reject(gone), 60_000, () => 2)).rejects.toBe(gone);
});

test("a signal aborts with its error when its time is over, and disposing of it leaves no timer", async () => {
  using late = abortAfter(systemClock, 1, () => gone);
  await expect(untilAborted(late.signal)).rejects.toBe(gone);
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const before = timers();
  const unused = abortAfter(systemClock, 60_000, () => gone);
  expect(timers()).toBe(before + 1);
  unused[Symbol.dispose]();
  expect(timers()).toBe(before);
});
