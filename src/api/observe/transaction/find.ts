import { stepCollection, transactionCollection } from "../../../datastore/datastore-journal.ts";
import type { Transaction } from "../../../gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { notFound } from "../../../util/errors.ts";
import type { Api } from "../../provisioning/context.ts";
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
export async function getTransaction(api: Api, id: string): Promise<Transaction> {
  const seen = await findTransaction(api, id);
  if (seen === undefined) throw notFound("transaction", id);
  return await toWire(api, seen);
}
