import { openCollection } from "../../../datastore/datastore-journal.ts";
import { keyText, refOfKey } from "../../../datastore/key.ts";
import type { Stored } from "../../../datastore/records.ts";
import { N0Error } from "../../../util/errors.ts";
import type { Api, Kind } from "../context.ts";
import type { Markable } from "../resource/object.ts";
import { currentTask, isOfAnother } from "./ambient.ts";
import type { Task } from "./tasks/task.ts";

/**
 * Only its own transaction changes a PENDING record. A transaction that needs an operator has released its
 * keys, but its records are still PENDING. So every saga checks each object whose key it holds before it
 * begins.
 *
 * @param own The transactions that may use their own PENDING records: the saga's, and the one that it runs
 *   within.
 * @throws N0Error `failed_precondition` that names the object, the transaction and what to do.
 */
export async function throwIfPending(
  api: Api,
  keys: readonly string[],
  own: readonly string[],
): Promise<void> {
  for (const key of keys) {
    const kind = api.kinds.find(({ collection }) => key.startsWith(collection.prefix));
    if (kind?.pending === undefined) continue;
    const { of, state } = kind.pending;
    const stored = await api.records.find(of, of.refOf(key));
    if (stored === undefined || isFree(stored.value, state)) continue;
    if (!own.includes(stored.value.transactionId)) throw await refusal(api, kind, stored);
  }
}

function isFree({ state, transactionId }: Markable, pending: number | undefined): boolean {
  return transactionId === "" && (pending === undefined || state !== pending);
}

/**
 * Like `throwIfPending`, for a task. What other tasks of the same transaction have made or changed it may use, unless
 * that gets ready only when the whole commits.
 *
 * @param keys The first one is the object of the task.
 */
export async function throwIfNotForTask(
  api: Api,
  keys: readonly string[],
  { set }: Task,
): Promise<void> {
  await throwIfPending(api, keys, [set.tx.id]);
  for (const [i, key] of keys.entries()) {
    const kind = api.kinds.find(({ collection }) => key.startsWith(collection.prefix));
    if (kind === undefined) continue;
    const ref = kind.collection.refOf(key);
    const deleter = set.deleterOf(ref);
    if (deleter !== undefined && i > 0) continue;
    const stored = kind.pending && (await api.records.find(kind.pending.of, ref));
    const isPending = stored !== undefined && stored.value.state === kind.pending?.state;
    if (deleter === undefined && (!isPending || kind.pending?.state === undefined)) continue;
    throw deleter === undefined
      ? notForTask(kind.word, key, CHANGES_LATE)
      : notForTask(kind.word, key, deletesLate(deleter));
  }
}

const CHANGES_LATE =
  "a task before this one changes it, and that ends only when all tasks are done";

function deletesLate(task: string): string {
  return `task "${task}" deletes it when all tasks are done`;
}

function notForTask(word: string, key: string, why: string): N0Error {
  const name = refOfKey(key)?.name ?? "";
  const message = `${word} "${name}": ${why}: use it in a transaction of its own after this one`;
  return new N0Error("failed_precondition", message, { resource: keyText(key) });
}

/**
 * For an object on which the caller relies without holding its key.
 *
 * @throws N0Error `aborted` if a task of another transaction has made or changed it, and that has not committed;
 *   `failed_precondition` if an earlier task of the same transaction deletes it.
 */
export function throwIfOfAnother(word: string, { key, value }: Stored<Markable>): void {
  const ref = refOfKey(key);
  const deleter = ref && currentTask()?.set.deleterOf(ref);
  if (deleter !== undefined) throw notForTask(word, key, deletesLate(deleter));
  if (!isOfAnother(value)) return;
  const { name, transactionId } = value;
  const message = `${word} "${name}" is PENDING: transaction ${transactionId} works on it: try again`;
  throw new N0Error("aborted", message, { resource: keyText(key), retryAfterMs: 500 });
}

async function refusal(api: Api, { word }: Kind, { key, value }: Stored<Markable>) {
  const { name, transactionId } = value;
  const isOpen =
    transactionId !== "" && (await api.records.find(openCollection, transactionId)) !== undefined;
  const why = isOpen
    ? `transaction ${transactionId} works on it or needs an operator: see "n0cli tx show ${transactionId}"`
    : `no transaction works on it: repair it with "n0cli verify --repair"`;
  return new N0Error("failed_precondition", `${word} "${name}" is PENDING: ${why}`, {
    resource: keyText(key),
  });
}
