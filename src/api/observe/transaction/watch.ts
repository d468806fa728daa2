import { create } from "@bufbuild/protobuf";
import {
  type WatchTransactionsResponse,
  WatchTransactionsResponseSchema,
} from "../../../gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { pause } from "../../../util/clock.ts";
import { notFound } from "../../../util/errors.ts";
import type { Call } from "../../core/context.ts";
import { ChangedNames } from "../../core/read/watch.ts";
import type { Api } from "../../provisioning/context.ts";
import { findTransaction } from "./find.ts";
import { isShown, throwUnlessTouchable } from "./place.ts";
import { type Seen, toWire } from "./view.ts";

/**
 * Changes of all transactions are collected for this time, so that watching does not slow down the
 * transactions.
 */
const GATHER_MS = 50;

/**
 * Sends one transaction until it does not continue by itself, or each change of any one at the place of the call.
 * One that changes twice before the client reads is sent once, in its latest state.
 *
 * @throws N0Error `not_found`, also if it ends without having begun, because it did not get its keys.
 */
export function watchTransactions(
  api: Api,
  call: Call,
  id: string,
): AsyncGenerator<WatchTransactionsResponse> {
  const until = AbortSignal.any([call.signal, api.shutdown]);
  return id === "" ? watchAll(api, call, until) : watchOne(api, call, id, until);
}

async function* watchOne(
  api: Api,
  call: Call,
  id: string,
  signal: AbortSignal,
): AsyncGenerator<WatchTransactionsResponse> {
  using changed = new ChangedNames(signal);
  using stops = new DisposableStack();
  stops.defer(
    api.engine.live.onChange((own) => {
      if (own === id) changed.add(own);
    }),
  );
  changed.add(id);
  for await (const own of changed) {
    const seen = await findTransaction(api, own);
    if (seen === undefined) throw notFound("transaction", id);
    throwUnlessTouchable(api, call, "watch", seen.header);
    yield await answer(api, seen);
    if (isOver(seen)) return;
  }
}

async function* watchAll(
  api: Api,
  call: Call,
  signal: AbortSignal,
): AsyncGenerator<WatchTransactionsResponse> {
  using changed = new ChangedNames(signal);
  using stops = new DisposableStack();
  stops.defer(api.engine.live.onChange((id) => changed.add(id)));
  for (const live of api.engine.live.all()) {
    if (!isShown(api, call, live.header)) continue;
    yield await answer(api, { header: live.header, rows: live.rows, live });
  }
  yield create(WatchTransactionsResponseSchema, { synced: true });
  while (!signal.aborted) {
    for (const id of await changed.takeAll()) {
      const seen = await findTransaction(api, id);
      // A transaction that was refused before it began leaves nothing.
      if (seen !== undefined && isShown(api, call, seen.header)) yield await answer(api, seen);
    }
    await pause(api.clock, GATHER_MS, signal);
  }
}

async function answer(api: Api, seen: Seen): Promise<WatchTransactionsResponse> {
  const transaction = await toWire(api, seen);
  return create(WatchTransactionsResponseSchema, { transaction });
}

/** Whether it does not continue by itself. */
export function isOver({ header: { state }, live }: Seen): boolean {
  return (
    live === undefined && (state === "done" || state === "unwound" || state === "needs_operator")
  );
}
