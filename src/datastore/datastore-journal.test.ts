import { expect, test } from "vitest";
import type { StepRow, TransactionHeader } from "../transaction/journal.ts";
import { jsonCollection, put, putNew } from "./collection.ts";
import { datastoreJournal } from "./datastore-journal.ts";
import { memoryDatastore } from "./memory/memory-datastore.ts";

const vms = jsonCollection<{ n: number }>("vm");

function header(id: string, changes: Partial<TransactionHeader> = {}): TransactionHeader {
  return {
    id,
    kind: "CreateVirtualMachine",
    guards: ["vm/web"],
    startedAtMs: 1,
    state: "running",
    isCommitted: false,
    ...changes,
  };
}

function step(seq: number, changes: Partial<StepRow> = {}): StepRow {
  return {
    seq,
    name: `toy.step_${seq}`,
    input: { seq },
    phase: "started",
    startedAtMs: 1,
    ...changes,
  };
}

function newJournal() {
  const datastore = memoryDatastore();
  return { datastore, journal: datastoreJournal(datastore) };
}

test("a transaction is open from its begin to its rest, in the order of beginning", async () => {
  const { journal } = newJournal();
  for (const id of ["1", "2", "3", "4"]) await journal.begin(header(id));
  await journal.update(header("1", { state: "unwound" }));
  await journal.update(header("2", { state: "needs_operator" }));
  await journal.commit(header("4", { state: "done", isCommitted: true }), {}, []);
  expect(await journal.listOpen()).toEqual([header("2", { state: "needs_operator" }), header("3")]);
});

test("a begun transaction cannot begin again under the same id", async () => {
  const { journal } = newJournal();
  await journal.begin(header("1"));
  await expect(journal.begin(header("1", { kind: "Other" }))).rejects.toThrow("has changed");
  expect(await journal.listOpen()).toEqual([header("1")]);
});

test("of several sessions that claim a transaction as they read it, one gets it", async () => {
  const { journal } = newJournal();
  for (const session of [{ session: "dead" }, {}]) {
    const left = header(`of ${session.session}`, session);
    await journal.begin(left);
    const claims = await Promise.all([journal.claim(left, "one"), journal.claim(left, "two")]);
    const claimed = { ...left, session: claims[0]?.session ?? "two" };
    expect(claims.filter((claim) => claim !== undefined)).toEqual([claimed]);
    expect(await journal.find(left.id)).toEqual(claimed);
    expect(await journal.claim(left, "three")).toBeUndefined();
    expect(await journal.claim(claimed, claimed.session)).toEqual(claimed);
  }
});

test("a transaction that has come to rest, or never was, is not claimed", async () => {
  const { journal } = newJournal();
  await journal.begin(header("1"));
  await journal.update(header("1", { state: "unwound" }));
  expect(await journal.claim(header("1"), "one")).toBeUndefined();
  expect(await journal.claim(header("2"), "one")).toBeUndefined();
});

test("steps are listed by their numbers, also beyond ten and a thousand, and only those of the transaction", async () => {
  const { journal } = newJournal();
  for (const seq of [1_000, 10, 9, 0, 100]) await journal.stepStarted("1", step(seq));
  await journal.stepStarted("10", step(3));
  expect((await journal.listSteps("1")).map(({ seq }) => seq)).toEqual([0, 9, 10, 100, 1_000]);
  await journal.stepUndone("1", step(9, { phase: "undone" }));
  expect((await journal.listSteps("1"))[1]).toEqual(step(9, { phase: "undone" }));
});

test("a commit writes the records, the header and what is left to do, or nothing of it", async () => {
  const { datastore, journal } = newJournal();
  await journal.begin(header("1"));
  await datastore.batch(put(vms, ["taken"], { n: 0 }));
  const committed = header("1", { state: "committed", isCommitted: true });
  const pending = step(1, { phase: "pending" });

  const conflict = putNew(vms, ["taken"], { n: 1 });
  await expect(journal.commit(committed, conflict, [pending])).rejects.toThrow("vm/taken");
  expect(await journal.listOpen()).toEqual([header("1")]);
  expect(await journal.listSteps("1")).toEqual([]);

  await journal.commit(committed, putNew(vms, ["web"], { n: 1 }), [pending]);
  expect(await journal.listOpen()).toEqual([committed]);
  expect(await journal.listSteps("1")).toEqual([pending]);
  expect(await datastore.get(vms.key("web"))).toBeDefined();

  await journal.retriableDone("1", { ...pending, phase: "done" });
  await journal.update({ ...committed, state: "done", finishedAtMs: 2 });
  expect(await journal.listOpen()).toEqual([]);
  expect((await journal.listSteps("1"))[0]?.phase).toBe("done");
});

test("every answer is larger than all before, over all transactions", async () => {
  const { journal } = newJournal();
  const generations = [
    await journal.begin(header("1")),
    await journal.begin(header("2")),
    await journal.stepStarted("1", step(0)),
    await journal.stepStarted("2", step(0)),
    await journal.stepUndone("1", step(0, { phase: "undone" })),
    await journal.commit(header("2", { state: "committed", isCommitted: true }), {}, []),
    await journal.retriableDone("2", step(1, { phase: "done" })),
    await journal.update(header("1", { state: "unwound" })),
  ];
  expect(generations).toEqual([...new Set(generations)].toSorted((a, b) => a - b));
});
