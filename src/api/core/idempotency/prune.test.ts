import { expect, test } from "vitest";
import { put } from "../../../datastore/collection.ts";
import { openCollection } from "../../../datastore/datastore-journal.ts";
import { memoryDatastore } from "../../../datastore/memory/memory-datastore.ts";
import { keptRequests } from "./kept-request.ts";
import { pruneKeptRequests } from "./prune.ts";

const HOUR_MS = 3_600_000;

/** One for each hour, under keys whose order says nothing of their age. */
async function kept(count: number, answerLength: number) {
  const datastore = memoryDatastore();
  for (let hour = 0; hour < count; hour++) {
    const request = {
      transactionId: `t${hour}`,
      fingerprint: "f",
      startedAtMs: hour * HOUR_MS,
      answer: "a".repeat(answerLength),
    };
    await datastore.batch(put(keptRequests, ["S.Rpc", `${(hour * 7919) % 1_000}`], request));
  }
  await datastore.batch({ puts: [{ key: "idempotencz/other", value: new Uint8Array() }] });
  const hoursLeft = async () => {
    const entries = await datastore.list(keptRequests.prefix);
    const ages = entries.map(({ value }) => keptRequests.decode(value).startedAtMs / HOUR_MS);
    return ages.toSorted((a, b) => a - b);
  };
  return { datastore, hoursLeft };
}

const hours = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

test("what is older than told is forgotten, whatever its key, and nothing else", async () => {
  const { datastore, hoursLeft } = await kept(350, 10);
  expect(await pruneKeptRequests(datastore, 200 * HOUR_MS)).toBe(200);
  expect(await hoursLeft()).toEqual(hours(200, 350));
  expect(await pruneKeptRequests(datastore, 200 * HOUR_MS)).toBe(0);
  expect(await datastore.get("idempotencz/other")).toBeDefined();
});

test("where the rest takes too much, the oldest go before their time", async () => {
  const { datastore, hoursLeft } = await kept(350, 1_000);
  await pruneKeptRequests(datastore, 0, 100_000);
  const left = await hoursLeft();
  expect(left).toEqual(hours(350 - left.length, 350));
  expect(left.length).toBeGreaterThan(80);
  expect(left.length).toBeLessThan(100);
});

test("what is used again while it is looked at stays", async () => {
  const { datastore, hoursLeft } = await kept(1, 10);
  const { get, list, batch } = datastore;
  const racing = {
    ...datastore,
    get,
    list,
    batch: async (writes: Parameters<typeof batch>[0]) => {
      const again = { transactionId: "new", fingerprint: "f", startedAtMs: 9 * HOUR_MS };
      await batch(put(keptRequests, ["S.Rpc", "0"], again));
      return await batch(writes);
    },
  };
  expect(await pruneKeptRequests(racing, HOUR_MS)).toBe(0);
  expect(await hoursLeft()).toEqual([9]);
});

test("what is still open stays, however old", async () => {
  const { datastore, hoursLeft } = await kept(3, 10);
  await datastore.batch(put(openCollection, ["t1"], {}));
  expect(await pruneKeptRequests(datastore, 3 * HOUR_MS)).toBe(2);
  expect(await hoursLeft()).toEqual([1]);
});
