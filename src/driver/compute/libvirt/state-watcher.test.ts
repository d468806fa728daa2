import { beforeEach, expect, test, vi } from "vitest";
import type { DomainEvent, DomainState } from "../domain.ts";
import { createStateWatcher, type StateWatcher } from "./state-watcher.ts";

let state: DomainState;
let told: DomainEvent[];
let watcher: StateWatcher;

beforeEach(() => {
  state = "absent";
  told = [];
  watcher = createStateWatcher({ observe: async () => state, list: async () => [] });
  watcher.onEvent((event) => told.push(event));
});

/** As libvirt tells of a change: by a hint to look. */
async function become(next: DomainState): Promise<void> {
  state = next;
  watcher.touch("a");
  await new Promise(setImmediate);
}

const states = () => told.map((event) => event.state);

test("each change is told once", async () => {
  for (const next of ["paused", "paused", "running", "absent"] as const) await become(next);
  expect(states()).toEqual(["paused", "running", "absent"]);
});

test("what a domain passes through during a work is not told, where it ends is", async () => {
  await become("paused");
  const failed = watcher.during("a", async () => {
    await become("running");
    await watcher.during("a", () => become("crashed"));
    await become("shut_off");
    throw new Error("the work failed");
  });
  await expect(failed).rejects.toThrow("the work failed");
  await vi.waitFor(() => expect(states()).toEqual(["paused", "shut_off"]));
});

test("an answer that comes when a work has begun is left, and asked for anew after it", async () => {
  const answer = Promise.withResolvers<DomainState>();
  const answers = [answer.promise, Promise.resolve<DomainState>("shut_off")];
  watcher = createStateWatcher({ observe: () => answers.shift()!, list: async () => [] });
  watcher.onEvent((event) => told.push(event));
  watcher.touch("a");
  await watcher.during("a", async () => {
    answer.resolve("running");
    await new Promise(setImmediate);
  });
  await vi.waitFor(() => expect(states()).toEqual(["shut_off"]));
});

test("whoever has read what a domain passed through is told where it ends", async () => {
  await become("shut_off");
  await watcher.during("a", async () => {
    watcher.compare([{ name: "a", state: "paused" }]);
  });
  await vi.waitFor(() => expect(states()).toEqual(["shut_off", "shut_off"]));
  watcher.compare([{ name: "a", state: "shut_off" }]);
  await new Promise(setImmediate);
  expect(states()).toEqual(["shut_off", "shut_off"]);
});

test("a work on one domain hides nothing of another", async () => {
  await watcher.during("b", () => become("running"));
  expect(states()).toEqual(["running"]);
});
