import { expect, test } from "vitest";
import { newSlots } from "./slots.ts";

const never = new AbortController().signal;

test("as many are taken at once as there are, and the others wait for their turn", async () => {
  const slots = newSlots(2);
  const taken = [await slots.take(never), await slots.take(never)];
  expect(taken.map(({ index }) => index)).toEqual([0, 1]);
  const order: string[] = [];
  const waiting = ["first", "second"].map(async (name) => {
    const slot = await slots.take(never);
    order.push(`${name} ${slot.index}`);
    return slot;
  });
  await new Promise(setImmediate);
  expect(order).toEqual([]);
  taken[1]![Symbol.dispose]();
  // Twice is once.
  taken[1]![Symbol.dispose]();
  await waiting[0];
  await new Promise(setImmediate);
  expect(order).toEqual([`first ${taken[1]!.index}`]);
  taken[0]![Symbol.dispose]();
  await waiting[1];
  expect(order).toEqual([`first ${taken[1]!.index}`, `second ${taken[0]!.index}`]);
});

test("who gives up is passed over, and keeps nothing", async () => {
  const slots = newSlots(1);
  const first = await slots.take(never);
  const abort = new AbortController();
  const given = slots.take(abort.signal);
  const next = slots.take(never);
  abort.abort(new Error("enough"));
  await expect(given).rejects.toThrow("enough");
  first[Symbol.dispose]();
  (await next)[Symbol.dispose]();
  (await slots.take(never))[Symbol.dispose]();
  await expect(slots.take(AbortSignal.abort(new Error("no")))).rejects.toThrow("no");
});
