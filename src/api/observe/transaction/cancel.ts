import type { Transaction } from "../../../gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import type { TransactionHeader } from "../../../transaction/journal.ts";
import type { LiveTransaction } from "../../../transaction/live.ts";
import { defined } from "../../../util/defined.ts";
import { N0Error, notFound } from "../../../util/errors.ts";
import { askerOf } from "../../core/asker.ts";
import type { Call } from "../../core/context.ts";
import type { Api } from "../../provisioning/context.ts";
import { findTransaction, throwUnlessSeen } from "./find.ts";
import { toWire } from "./view.ts";

/**
 * Unwinds an open transaction, and returns when that is decided. Changes nothing if the transaction is unwound,
 * or being unwound, already.
 *
 * @throws N0Error `not_found`; `failed_precondition` if it is committed, or its undo needs an operator.
 */
export async function cancelTransaction(api: Api, call: Call, id: string): Promise<Transaction> {
  const live = api.engine.live.find(id);
  await throwUnlessSeen(api, call, "cancel", id);
  if (live?.header.state === "running") await stop(api, call, live);
  const seen = await findTransaction(api, id);
  if (seen === undefined) {
    if (live === undefined) throw notFound("transaction", id);
    return await toWire(api, neverBegun(api, live));
  }
  const { header } = seen;
  if (header.isCommitted) throw refusal(header, whatBecomesOf(header));
  if (header.state === "needs_operator" && seen.live === undefined) {
    throw refusal(
      header,
      `its undo needs an operator: repair the reason that it names, then retry ${id}`,
    );
  }
  return await toWire(api, seen);
}

async function stop(api: Api, call: Call, live: LiveTransaction): Promise<void> {
  live.cancel({ asker: askerOf(call), atMs: api.clock.nowMs() });
  const isDecided = () => live.header.state !== "running" || api.engine.live.find(live.id) !== live;
  await api.engine.live.until(live, isDecided, call.signal);
}

/** It still waited for its keys, so it has no record, and nothing to undo. */
function neverBegun(api: Api, live: LiveTransaction) {
  const header: TransactionHeader = {
    ...live.header,
    state: "unwound",
    finishedAtMs: api.clock.nowMs(),
    ...defined({ cancel: live.cancelled }),
  };
  return { header, rows: [] };
}

function whatBecomesOf({ id, state }: TransactionHeader): string {
  if (state === "done") return "it is done: delete or change the objects that it made instead";
  const what = "it is committed, so the API finishes it and cannot unwind it";
  if (state === "needs_operator") {
    return `${what}; finishing it needs an operator: repair the reason that it names, then retry ${id}`;
  }
  return `${what}: wait for it, then delete or change the objects that it made`;
}

function refusal({ id, kind }: TransactionHeader, why: string): N0Error {
  return new N0Error(
    "failed_precondition",
    `transaction "${id}" (${kind}) cannot be cancelled: ${why}`,
    {
      resource: `transaction/${id}`,
    },
  );
}
