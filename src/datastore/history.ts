import { isAtRest, type TransactionHeader } from "../transaction/journal.ts";
import { defined } from "../util/defined.ts";
import type { Datastore } from "./datastore.ts";
import { changesCollection, stepCollection, transactionCollection } from "./datastore-journal.ts";
import { Records } from "./records.ts";

/** The number of transactions that one batch removes. */
const BATCH_MAX = 100;

/**
 * Removes the transactions that came to rest before `beforeMs`, with their steps. Open ones stay, however
 * old they are.
 *
 * @returns how many it removed.
 */
export async function pruneHistory(datastore: Datastore, beforeMs: number): Promise<number> {
  const records = new Records(datastore);
  let forgotten = 0;
  let after: string | undefined;
  for (;;) {
    const page = { limit: BATCH_MAX, ...defined({ after }) };
    const headers = await records.list(transactionCollection, [], page);
    // Ids sort by the time when they were made, so the old ones come first.
    const old = headers.filter(({ value }) => value.startedAtMs < beforeMs);
    const resting = old.filter(({ value }) => isForgotten(value, beforeMs));
    const steps = await Promise.all(
      resting.map(({ value }) => records.list(stepCollection, [value.id])),
    );
    const deletes = [
      ...[...resting, ...steps.flat()].map(({ key }) => key),
      ...resting.map(({ value }) => changesCollection.key(value.id)),
    ];
    if (deletes.length > 0) await datastore.batch({ deletes });
    forgotten += resting.length;
    if (old.length < BATCH_MAX) return forgotten;
    after = old.at(-1)!.key;
  }
}

function isForgotten(header: TransactionHeader, beforeMs: number): boolean {
  return isAtRest(header) && (header.finishedAtMs ?? 0) < beforeMs;
}
