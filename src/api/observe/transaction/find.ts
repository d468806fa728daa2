import { stepCollection, transactionCollection } from "../../../datastore/datastore-journal.ts";
import type { Transaction } from "../../../gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { notFound } from "../../../util/errors.ts";
import type { Call } from "../../core/context.ts";
import type { Api } from "../../provisioning/context.ts";
import { throwUnlessTouchable, type Verb } from "./place.ts";
import { type Seen, toWire } from "./view.ts";

/** A transaction with its steps, from the memory of this process or else from the journal. */
export async function findTransaction(api: Api, id: string): Promise<Seen | undefined> {
  const live = api.engine.live.find(id);
  if (live !== undefined) return { header: live.header, rows: live.rows, live };
  const stored = await api.records.find(transactionCollection, id);
  if (stored === undefined) return undefined;
  const rows = await api.records.list(stepCollection, [id]);
  return { header: stored.value, rows: rows.map(({ value }) => value) };
}

/** @throws N0Error `not_found`, also if its history has been deleted. */
export async function getTransaction(api: Api, call: Call, id: string): Promise<Transaction> {
  const seen = await findTransaction(api, id);
  if (seen === undefined) throw notFound("transaction", id);
  throwUnlessTouchable(api, call, "get", seen.header);
  return await toWire(api, seen);
}

/** @throws N0Error `not_found` for a transaction that there is not for the caller. */
export async function throwUnlessSeen(api: Api, call: Call, verb: Verb, id: string): Promise<void> {
  const header =
    api.engine.live.find(id)?.header ?? (await api.records.find(transactionCollection, id))?.value;
  if (header === undefined) throw notFound("transaction", id);
  throwUnlessTouchable(api, call, verb, header);
}
