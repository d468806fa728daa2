import { expect, test } from "vitest";
import { eachWithin } from "./each-within.ts";

interface Item {
  readonly weight: number;
  readonly done: PromiseWithResolvers<void>;
}

const itemsOf = (...weights: readonly number[]): Item[] =>
  weights.map((weight) => ({ weight, done: Promise.withResolvers<void>() }));
const weightOf = ({ weight }: Item) => weight;
const turn = () => new Promise((resolve) => setImmediate(resolve));

test("as many are at work as the weights allow, in their order, and a heavy one alone", async () => {
  const items = itemsOf(2, 2, 1, 9, 1);
  const started: number[] = [];
  const all = eachWithin(4, items, weightOf, async ({ done }, index) => {
    started.push(index);
    await done.promise;
  });
  await turn();
  expect(started).toEqual([0, 1]);
  items[1]!.done.resolve();
  await turn();
  expect(started).toEqual([0, 1, 2]);
  items[0]!.done.resolve();
  await turn();
  expect(started).toEqual([0, 1, 2]);
  items[2]!.done.resolve();
  await turn();
  expect(started).toEqual([0, 1, 2, 3]);
  items[3]!.done.resolve();
  await turn();
  expect(started).toEqual([0, 1, 2, 3, 4]);
  items[4]!.done.resolve();
  await all;
});

test("nobody waits for one that weighs nothing", async () => {
  const items = itemsOf(0, 4, 0, 4);
  const started: number[] = [];
  const all = eachWithin(4, items, weightOf, async ({ done }, index) => {
    started.push(index);
    await done.promise;
  });
  await turn();
  expect(started).toEqual([0, 1, 2]);
  items[1]!.done.resolve();
  await turn();
  expect(started).toEqual([0, 1, 2, 3]);
  for (const { done } of items) done.resolve();
  await all;
});

test("fails also if one fails at the moment when another ends", async () => {
  const items = itemsOf(1, 1, 1);
  const all = eachWithin(2, items, weightOf, ({ done }) => done.promise);
  items[2]!.done.resolve();
  items[0]!.done.resolve();
  items[1]!.done.reject(new Error("it broke"));
  await expect(all).rejects.toThrow("it broke");
});

test("fails with the first that fails, when all that had begun have ended", async () => {
  const items = itemsOf(1, 1, 1);
  const ended: number[] = [];
  const all = eachWithin(2, items, weightOf, async ({ done }, index) => {
    await done.promise.finally(() => ended.push(index));
  });
  const outcome = expect(all).rejects.toThrow("no");
  await turn();
  items[0]!.done.reject(new Error("no"));
  await turn();
  items[1]!.done.resolve();
  await outcome;
  expect(ended).toEqual([0, 1]);
});
