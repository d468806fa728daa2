import { expect, test } from "vitest";
import {
  newToyWorld,
  slots,
  type ToyContext,
  type ToyInput,
  takeSlot,
} from "../../test/toy-saga.ts";
import { putNew, unchanged } from "../datastore/collection.ts";
import { ConflictError, merge, type Writes } from "../datastore/datastore.ts";
import { stepCollection } from "../datastore/datastore-journal.ts";
import { memoryDatastore } from "../datastore/memory/memory-datastore.ts";
import { Records } from "../datastore/records.ts";
import type { RecordStep } from "./step.ts";

type SlotStep = RecordStep<ToyContext, ToyInput, Writes>;

/** As `takeSlot`, which is found under the same name when it is undone. */
const reserveSlot: SlotStep = {
  name: takeSlot.name,
  writeRecords: async (_context, { name }, { transactionId }, write) =>
    void (await write(putNew(slots, [name], { owner: transactionId }))),
  undo: takeSlot.undo,
};

async function newWorld() {
  const datastore = memoryDatastore();
  const world = await newToyWorld({ open: () => datastore });
  const records = new Records(datastore);
  const run = (step: SlotStep) =>
    world.run(async (tx) => {
      await tx.run(step, { name: "mine" });
      await tx.commit({});
    });
  /** Which batch wrote what. */
  const revisions = async () => ({
    rows: (await records.list(stepCollection)).map(({ revision }) => revision),
    slot: (await records.find(slots, "mine"))?.revision,
  });
  return { world, run, revisions };
}

test("what a record step writes becomes durable in the batch of its row", async () => {
  const { world, run, revisions } = await newWorld();
  await using _ = world;
  await run(reserveSlot);
  const { rows, slot } = await revisions();
  expect(slot).toBeGreaterThan(0);
  expect(rows).toEqual([slot]);
});

test("one whose condition does not hold is journaled with the writes that are taken", async () => {
  const { world, run, revisions } = await newWorld();
  await using _ = world;
  const seen: unknown[] = [];
  await run({
    ...reserveSlot,
    async writeRecords(_context, { name }, { transactionId }, write) {
      const writes = putNew(slots, [name], { owner: transactionId });
      await write(merge(writes, unchanged(slots, ["other"], 0))).catch((reason: unknown) =>
        seen.push(reason),
      );
      seen.push((await revisions()).rows);
      await write(writes);
    },
  });
  expect(seen).toEqual([expect.any(ConflictError), []]);
  const { rows, slot } = await revisions();
  expect(rows).toEqual([slot]);
});

test("one that finds nothing to write is journaled all the same", async () => {
  const { world, run, revisions } = await newWorld();
  await using _ = world;
  await run({ ...reserveSlot, writeRecords: async () => {} });
  expect(await revisions()).toEqual({ rows: [expect.any(Number)], slot: undefined });
});

test("one whose writes are refused fails its transaction, and one that failed after them is undone", async () => {
  const { world, run } = await newWorld();
  await using _ = world;
  const before = await world.residue();
  const taken: SlotStep = {
    ...reserveSlot,
    writeRecords: (context, _input, scope, write) =>
      reserveSlot.writeRecords(context, { name: "other" }, scope, write),
  };
  await expect(run(taken)).rejects.toMatchObject({ facts: { rollback: "done" } });
  const late: SlotStep = {
    ...reserveSlot,
    async writeRecords(...given) {
      await reserveSlot.writeRecords(...given);
      throw new Error("too late");
    },
  };
  await expect(run(late)).rejects.toMatchObject({ facts: { rollback: "done" } });
  expect(await world.residue()).toEqual(before);
});
