import {
  isAtRest,
  type Journal,
  type StepRow,
  type TransactionHeader,
} from "../transaction/journal.ts";
import type { Json } from "../util/json.ts";
import { jsonCollection, put, putNew, remove, unchanged } from "./collection.ts";
import { ConflictError, type Datastore, merge, type Writes } from "./datastore.ts";
import { Records } from "./records.ts";

/**
 * What is written of a transaction, and kept of its answer, follows from many objects: the keys of all that
 * is on a node, a network with its interfaces. No client's text makes it large, and a commit must not fail by it.
 */
export const JOURNAL_BYTES_MAX = 64 << 20;
const journaled = { bytesMax: JOURNAL_BYTES_MAX };

/** Headers of all transactions that are kept; their ids sort by the time they began. */
export const transactionCollection = jsonCollection<Row<TransactionHeader>>(
  "transaction",
  journaled,
);
export const stepCollection = jsonCollection<Row<StepRow>>("transaction_step", journaled);
/** One record for each transaction that is not at rest, so that start-up need not read the history. */
export const openCollection = jsonCollection<Row<Record<string, never>>>("transaction_open");

type Row<T> = T & { readonly [key: string]: Json | undefined };

/** The journal, kept among the records, so that a commit writes both in one batch. */
export function datastoreJournal(datastore: Datastore): Journal<Writes> {
  const records = new Records(datastore);
  const step = (id: string, row: StepRow) =>
    put<Row<StepRow>>(stepCollection, [id, row.seq.toString().padStart(6, "0")], { ...row });
  const header = (row: TransactionHeader) =>
    put<Row<TransactionHeader>>(transactionCollection, [row.id], { ...row });
  const openMark = (row: TransactionHeader) =>
    isAtRest(row) ? remove(openCollection, row.id) : {};

  return {
    begin: (row, writes = {}) =>
      datastore.batch(
        merge(
          writes,
          putNew<Row<TransactionHeader>>(transactionCollection, [row.id], { ...row }),
          put(openCollection, [row.id], {}),
        ),
      ),
    stepStarted: (id, row, writes = {}) => datastore.batch(merge(writes, step(id, row))),
    stepUndone: (id, row) => datastore.batch(step(id, row)),
    retriableDone: (id, row) => datastore.batch(step(id, row)),
    commit: (row, writes, retriables) =>
      datastore.batch(
        merge(writes, header(row), openMark(row), ...retriables.map((r) => step(row.id, r))),
      ),
    update: (row, { writes = {}, rows = [] } = {}) =>
      datastore.batch(
        merge(header(row), openMark(row), writes, ...rows.map((r) => step(row.id, r))),
      ),

    async claim({ id, session: before, state }, session) {
      const found = await records.find(transactionCollection, id);
      if (found === undefined || found.value.state !== state) return undefined;
      // A claim whose answer was lost is found to be ours.
      if (found.value.session === session) return found.value;
      if (found.value.session !== before) return undefined;
      const claimed = { ...found.value, session };
      const condition = unchanged(transactionCollection, [id], found.revision);
      try {
        await datastore.batch(merge(header(claimed), condition));
        return claimed;
      } catch (reason) {
        if (reason instanceof ConflictError) return undefined;
        throw reason;
      }
    },

    async find(id) {
      return (await records.find(transactionCollection, id))?.value;
    },

    async listOpen() {
      const open = await records.list(openCollection);
      const ids = open.map(({ key }) => openCollection.parts(key)[0]!);
      const found = await Promise.all(ids.map((id) => records.find(transactionCollection, id)));
      return found.flatMap((stored) => (stored === undefined ? [] : [stored.value]));
    },

    async listSteps(id) {
      const rows = await records.list(stepCollection, [id]);
      return rows.map(({ value }) => value);
    },
  };
}
