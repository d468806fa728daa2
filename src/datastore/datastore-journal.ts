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
 * The size of a transaction's records and of its answer depends on many objects, such as the keys of
 * everything on a node, or a network with its interfaces. No single request makes them large, and a commit
 * must not fail because of them.
 */
export const JOURNAL_BYTES_MAX = 64 << 20;
const journaled = { bytesMax: JOURNAL_BYTES_MAX };

/** The headers of all transactions in the history. Their ids sort by the time when they began. */
export const transactionCollection = jsonCollection<Row<TransactionHeader>>(
  "transaction",
  journaled,
);
export const stepCollection = jsonCollection<Row<StepRow>>("transaction_step", journaled);
/** One record for each transaction that is not at rest, so that the start need not read the history. */
export const openCollection = jsonCollection<Row<Record<string, never>>>("transaction_open");

/**
 * By transaction: what it has changed of the objects that users undo. It is written with the commit, and stays as long
 * as the header does. One of an older version has no such record.
 */
export const changesCollection = jsonCollection<Row<TransactionChanges>>(
  "transaction_changes",
  journaled,
);

/** A record before and after, in base64; null for none. */
export type RecordChange = {
  readonly key: string;
  readonly before: string | null;
  readonly after: string | null;
};

export type TransactionChanges = {
  /** In the order in which the transaction changed them. With other kinds only their keys. */
  readonly records: readonly RecordChange[];
  /** The kinds of the other objects that it has changed. */
  readonly otherKinds: readonly string[];
};

type Row<T> = T & { readonly [key: string]: Json | undefined };

/** The journal. It is in the same datastore as the records, so that one batch writes both at a commit. */
export function datastoreJournal(datastore: Datastore): Journal<Writes> {
  const records = new Records(datastore);
  const step = (id: string, row: StepRow) =>
    put(stepCollection, [id, row.seq.toString().padStart(6, "0")], { ...row });
  const header = (row: TransactionHeader) => put(transactionCollection, [row.id], { ...row });
  const openMark = (row: TransactionHeader) =>
    isAtRest(row) ? remove(openCollection, row.id) : {};

  return {
    begin: (row, writes = {}) =>
      datastore.batch(
        merge(
          writes,
          putNew(transactionCollection, [row.id], { ...row }),
          put(openCollection, [row.id], {}),
        ),
      ),
    stepStarted: (id, row, { writes = {}, header: changed } = {}) =>
      datastore.batch(merge(writes, step(id, row), changed === undefined ? {} : header(changed))),
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
      // If the answer to an earlier claim was lost, the record already names this session.
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
