// What a simulated process leaves when it dies, and what comes to it while it stands still.
import { expect, test } from "vitest";
import { memoryDatastore } from "../../src/datastore/memory/memory-datastore.ts";
import { simulatedDatastore } from "./datastore.ts";
import { newDice } from "./dice.ts";
import { Process, Timeline } from "./timeline.ts";

const value = new Uint8Array();

function newParts(seed = 1) {
  const timeline = new Timeline();
  const process = new Process("api");
  const durable = memoryDatastore();
  const told: string[] = [];
  const datastore = simulatedDatastore({
    durable,
    process,
    timeline,
    dice: newDice(seed),
    trouble: () => undefined,
    onPort: () => {},
    onBatch: ({ revision }) => told.push(`batch ${revision}`),
  });
  const pass = (ms: number) => timeline.run(() => false, ms);
  return { timeline, process, durable, datastore, told, pass };
}

test("things happen in the order of their time, and at the same time in that in which they were asked for", async () => {
  const { timeline, process, pass } = newParts();
  const seen: string[] = [];
  timeline.after(5, process, () => seen.push("later"));
  timeline.after(1, process, () => seen.push("first"));
  timeline.after(5, process, () => seen.push("last"));
  timeline.after(2, process, () => seen.push("called off"))();
  await pass(4);
  expect(seen).toEqual(["first"]);
  await pass(1);
  expect(seen).toEqual(["first", "later", "last"]);
  expect(timeline.nowMs).toBe(5);
});

test("what a process asked for and did not get before its death is never answered", async () => {
  const { timeline, process, pass } = newParts();
  let hasWoken = false;
  void timeline
    .clockOf(process)
    .sleep(10)
    .then(() => {
      hasWoken = true;
    });
  await pass(5);
  process.kill();
  await pass(100);
  expect(hasWoken).toBe(false);
});

test("what its code still writes after its death has no effect, and it is told of nothing", async () => {
  const { process, durable, datastore, told, pass } = newParts();
  const heard: number[] = [];
  datastore.watch("", 0, (_, revision) => heard.push(revision));
  await Promise.all([datastore.batch({ puts: [{ key: "a/1", value }] }), pass(100)]);
  expect([heard, told]).toEqual([[1], ["batch 1"]]);
  process.kill();
  let isAnswered = false;
  const late = () => {
    isAnswered = true;
  };
  void datastore.batch({ puts: [{ key: "a/2", value }] }).then(late, late);
  void datastore.get("a/1").then(late, late);
  await durable.batch({ puts: [{ key: "a/3", value }] });
  await pass(1_000);
  expect(isAnswered).toBe(false);
  expect((await durable.list("")).map(({ key }) => key)).toEqual(["a/1", "a/3"]);
  expect(heard).toEqual([1]);
});

test("a flush that was under way comes through whole or not at all", async () => {
  const left = new Set<string>();
  for (let seed = 0; seed < 30; seed++) {
    const { process, durable, datastore, pass } = newParts(seed);
    for (const key of ["a/1", "a/2"]) void datastore.batch({ puts: [{ key, value }] });
    process.kill();
    await pass(100);
    left.add((await durable.list("")).map(({ key }) => key).join());
  }
  expect([...left].sort()).toEqual(["", "a/1,a/2"]);
});

test("what comes to a process that stands still happens when it goes on, in order", async () => {
  const { timeline, process, pass } = newParts();
  const seen: string[] = [];
  timeline.freeze(process);
  timeline.after(1, process, () => seen.push("one"));
  const callOff = timeline.after(2, process, () => seen.push("called off"));
  timeline.after(3, process, () => seen.push("two"));
  await pass(1_000);
  expect(seen).toEqual([]);
  callOff();
  timeline.thaw(process);
  await pass(0);
  expect(seen).toEqual(["one", "two"]);
  expect(timeline.nowMs).toBe(1_000);
});
