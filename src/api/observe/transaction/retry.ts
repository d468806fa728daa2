import type { Transaction } from "../../../gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import type { LiveTransaction } from "../../../transaction/live.ts";
import { notFound } from "../../../util/errors.ts";
import { askerOf } from "../../core/asker.ts";
import type { Call } from "../../core/context.ts";
import { takeOver } from "../../core/saga/take-over.ts";
import { formatPlace } from "../../iam/access/place.ts";
import type { Api } from "../../provisioning/context.ts";
import { getTransaction, throwUnlessSeen } from "./find.ts";
import { placeOfTransaction } from "./place.ts";

/** The longest wait of a client. The transaction goes on after that. */
const PATIENCE_MS = 10_000;

/**
 * Retries at once a transaction that needs an operator or waits for its next try. Returns its end; if that
 * takes longer or fails again, its state at that time.
 *
 * @throws N0Error `not_found`; `aborted` while another transaction holds its keys. It is then unchanged.
 */
export async function retryTransaction(api: Api, call: Call, id: string): Promise<Transaction> {
  await throwUnlessSeen(api, call, "retry", id);
  const live = await api.engine.takingOver.retry(id, (...left) => takeOver(api, ...left));
  if (live !== undefined) await untilDecided(api, call, live);
  return await getTransaction(api, call, id);
}

/**
 * Gives up the step for which the transaction needs an operator, and continues without it.
 *
 * @param step The step that the operator has seen; empty for the one that needs the operator.
 * @throws N0Error `not_found`; `failed_precondition` if no step can be given up; `aborted` while another
 * transaction holds its keys. It is then unchanged.
 */
export async function giveUpTransaction(
  api: Api,
  call: Call,
  id: string,
  step: string,
): Promise<Transaction> {
  const asker = askerOf(call);
  const live = await api.engine.takingOver.giveUp(id, asker, step, (...left) =>
    takeOver(api, ...left),
  );
  if (live === undefined) throw notFound("transaction", id);
  const place = formatPlace(placeOfTransaction(live.header));
  const what = { rpc: "GiveUpTransaction", resource: `transaction/${id}` };
  // The journal has it too, with what is left on the node.
  api.auditEvents.note({ kind: "change", asker, place, ...what });
  await untilDecided(api, call, live);
  return await getTransaction(api, call, id);
}

async function untilDecided(api: Api, call: Call, live: LiveTransaction): Promise<void> {
  const patience = new AbortController();
  const late = api.clock.sleep(PATIENCE_MS, patience.signal).then(
    () => patience.abort(),
    () => undefined,
  );
  const isDecided = () =>
    api.engine.live.find(live.id) !== live || live.waiting?.for === "next_try";
  try {
    await api.engine.live.until(live, isDecided, AbortSignal.any([patience.signal, call.signal]));
  } finally {
    patience.abort();
    await late;
  }
}
