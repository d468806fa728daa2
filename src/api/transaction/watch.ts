import { create } from "@bufbuild/protobuf";
import {
  type Transaction,
  type WatchTransactionsResponse,
  WatchTransactionsResponseSchema,
} from "../../gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { notFound } from "../../util/errors.ts";
import type { Api } from "../context.ts";
import { ChangedNames } from "../watch.ts";
import { findTransaction } from "./find.ts";
import { type Seen, toWire } from "./view.ts";

/**
 * One transaction until it goes no further by itself, or each change of any until `signal` aborts. One that
 * changes twice before the client reads is sent once, as it is then.
 *
 * @throws N0Error `not_found`, also where one ends that was never begun, since its keys were not to be had.
 */
export async function* watchTransactions(
  api: Api,
  id: string,
  signal: AbortSignal,
): AsyncGenerator<WatchTransactionsResponse> {
  using changed = new ChangedNames(AbortSignal.any([signal, api.shutdown]));
  using stops = new DisposableStack();
  const listener = (own: string) => {
    if (id === "" || own === id) changed.add(own);
  };
  stops.defer(api.engine.live.onChange(listener));
  const answer = (transaction: Transaction) =>
    create(WatchTransactionsResponseSchema, { transaction });

  if (id === "") {
    for (const live of api.engine.live.all()) {
      yield answer(toWire(api, { header: live.header, rows: live.rows, live }));
    }
    yield create(WatchTransactionsResponseSchema, { synced: true });
  } else changed.add(id);

  for await (const own of changed) {
    const seen = await findTransaction(api, own);
    if (seen !== undefined) yield answer(toWire(api, seen));
    if (id === "") continue;
    if (seen === undefined) throw notFound("transaction", id);
    if (isOver(seen)) return;
  }
}

function isOver({ header: { state }, live }: Seen): boolean {
  return (
    live === undefined && (state === "done" || state === "unwound" || state === "needs_operator")
  );
}
