import { put } from "../../../datastore/collection.ts";
import type { Writes } from "../../../datastore/datastore.ts";
import type { Asker } from "../../../transaction/journal.ts";
import { transactionId } from "../../../transaction/transaction-id.ts";
import type { Api } from "../context.ts";
import { auditEvents } from "./record.ts";

/** For the batch of a change of the system that is not a transaction. */
export function changeEvent(
  { clock, random }: Pick<Api, "clock" | "random">,
  asker: Asker,
  rpc: string,
  resource: string,
): Writes {
  const nowMs = clock.nowMs();
  const times = { firstMs: nowMs, lastMs: nowMs, count: 1 };
  const event = { kind: "change", asker, place: "system", rpc, resource, ...times } as const;
  return put(auditEvents, [transactionId(nowMs, random.uuid())], event);
}
