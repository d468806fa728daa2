import { describe, expect, test } from "vitest";
import { SEED } from "../../test/seeds.ts";
import { newDice } from "../../test/sim/dice.ts";
import { systemClock } from "../util/clock.ts";
import { datastoreSuite } from "./datastore.suite.ts";
import { lateDelivery } from "./late-delivery.ts";
import { memoryDatastore } from "./memory/memory-datastore.ts";

const key = "a";
const value = new Uint8Array();

describe("a datastore that tells late", () => {
  const random = newDice(SEED);
  datastoreSuite(async () => {
    const datastore = await lateDelivery(memoryDatastore(), {
      clock: systemClock,
      random,
      delayMsMax: 3,
    });
    return { datastore, [Symbol.asyncDispose]: () => datastore[Symbol.asyncDispose]() };
  });
});

test("it tells when its clock says so, and not before", async () => {
  let pass = () => {};
  const clock = { sleep: () => new Promise<void>((resolve) => (pass = resolve)) };
  const random = { fraction: () => 1 };
  await using datastore = await lateDelivery(memoryDatastore(), { clock, random, delayMsMax: 1 });
  const told: number[] = [];
  datastore.watch("", 0, (_, revision) => void told.push(revision));
  const revision = await datastore.batch({ puts: [{ key, value }] });
  let isSeen = false;
  const seen = datastore.seen(revision).then(() => {
    isSeen = true;
  });
  await new Promise(setImmediate);
  expect([told, isSeen]).toEqual([[], false]);
  pass();
  await seen;
  expect(told).toEqual([revision]);
});
