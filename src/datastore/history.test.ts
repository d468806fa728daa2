import { expect, test } from "vitest";
import type { TransactionHeader } from "../transaction/journal.ts";
import { put } from "./collection.ts";
import {
  changesCollection,
  datastoreJournal,
  stepCollection,
  transactionCollection,
} from "./datastore-journal.ts";
import { pruneHistory } from "./history.ts";
import { memoryDatastore } from "./memory/memory-datastore.ts";
import { Records } from "./records.ts";

const DAY_MS = 24 * 3600 * 1000;

test("old transactions at rest are forgotten with their steps, open and young ones stay", async () => {
  const datastore = memoryDatastore();
  const journal = datastoreJournal(datastore);
  for (let day = 0; day < 300; day++) {
    const id = `${day.toString().padStart(4, "0")}-x`;
    const header: TransactionHeader = {
      id,
      kind: "Test",
      guards: [],
      startedAtMs: day * DAY_MS,
      state: day % 10 === 0 ? "needs_operator" : "done",
      isCommitted: true,
    };
    await journal.begin({ ...header, state: "running" });
    await journal.stepStarted(id, {
      seq: 0,
      name: "a.b",
      input: null,
      phase: "started",
      startedAtMs: 0,
    });
    await journal.update(header);
  }

  expect(await pruneHistory(datastore, 200 * DAY_MS)).toBe(180);

  const records = new Records(datastore);
  const left = (await records.list(transactionCollection)).map(({ value }) => value);
  expect(left).toHaveLength(120);
  expect(left.filter(({ startedAtMs }) => startedAtMs < 200 * DAY_MS)).toHaveLength(20);
  expect(left.every((t) => t.state === "needs_operator" || t.startedAtMs >= 200 * DAY_MS)).toBe(
    true,
  );
  expect(await records.list(stepCollection)).toHaveLength(120);
  expect(await pruneHistory(datastore, 200 * DAY_MS)).toBe(0);
});

test("what took long to come to rest is kept as long after that as all else", async () => {
  const datastore = memoryDatastore();
  const journal = datastoreJournal(datastore);
  const header: TransactionHeader = {
    id: "1-x",
    kind: "Test",
    guards: [],
    startedAtMs: 0,
    finishedAtMs: 9 * DAY_MS,
    state: "unwound",
    isCommitted: false,
  };
  await journal.begin({ ...header, state: "running" });
  await journal.update(header);
  expect(await pruneHistory(datastore, 9 * DAY_MS)).toBe(0);
  const changes = { records: [], otherKinds: [] };
  await datastore.batch(put(changesCollection, [header.id], changes));
  expect(await pruneHistory(datastore, 9 * DAY_MS + 1)).toBe(1);
  expect(await datastore.list("")).toEqual([]);
});
