import {
  changesCollection,
  type RecordChange,
  transactionCollection,
} from "../../../datastore/datastore-journal.ts";
import { keyText, refOfKey } from "../../../datastore/key.ts";
import type { TransactionHeader } from "../../../transaction/journal.ts";
import { N0Error, notFound } from "../../../util/errors.ts";
import type { Call } from "../../core/context.ts";
import { whereOf } from "../../core/where.ts";
import { placeOfTransaction, throwUnlessTouchable } from "../../observe/transaction/place.ts";
import type { Api } from "../../provisioning/context.ts";

/**
 * The records that a transaction has changed.
 *
 * @throws N0Error `not_found` for a transaction that is not of the project of the call; `failed_precondition` for one
 *   that cannot be undone as a whole.
 */
export async function readChanges(
  api: Api,
  call: Call,
  id: string,
): Promise<readonly RecordChange[]> {
  const header = (await api.records.find(transactionCollection, id))?.value;
  const { project } = whereOf(call.values);
  if (header === undefined || !isOfProject(header, project)) throw notFound("transaction", id);
  throwUnlessTouchable(api, call, "get", header);
  throwUnlessDone(header);
  const changes = (await api.records.find(changesCollection, id))?.value;
  if (changes === undefined) {
    throw refused(
      id,
      "it has changed no object that can be undone, or an older version of n0stack ran it",
    );
  }
  const { records, otherKinds } = changes;
  if (otherKinds.length > 0) {
    const kinds = otherKinds.map((kind) => kind.replaceAll("_", " ")).join(", ");
    const hint = otherKinds.includes("stack") ? ": n0cli stack rollback brings a stack back" : "";
    throw refused(
      id,
      `it has also changed objects of kinds that no undo changes back: ${kinds}${hint}`,
    );
  }
  const elsewhere = records.find(({ key }) => refOfKey(key)?.scope !== project);
  if (elsewhere !== undefined) {
    throw refused(id, `it has also changed ${keyText(elsewhere.key)}, of another project`);
  }
  return records;
}

function isOfProject(header: TransactionHeader, project: string): boolean {
  const place = placeOfTransaction(header);
  return place.kind === "project" && place.name === project;
}

function throwUnlessDone({ id, state }: TransactionHeader): void {
  if (state === "done") return;
  if (state === "unwound") throw refused(id, "it was unwound, and has changed nothing");
  throw refused(id, `it is not at rest: see n0cli tx show ${id}`);
}

function refused(id: string, why: string): N0Error {
  const message = `transaction ${id} cannot be undone: ${why}`;
  return new N0Error("failed_precondition", message, { resource: `transaction/${id}` });
}

/** The most transactions that are searched for the one that has changed an object. */
const SEARCHED_MAX = 1_000;

/** ` (transaction 0199…)`: the last transaction that has changed the record since; empty if none is found. */
export async function whoChanged({ records }: Api, id: string, key: string): Promise<string> {
  const after = changesCollection.key(id);
  const later = await records.list(changesCollection, [], { after, limit: SEARCHED_MAX });
  const found = later.findLast(({ value }) => value.records.some((one) => one.key === key));
  return found === undefined ? "" : ` (transaction ${changesCollection.parts(found.key)[0]})`;
}
