import type { TransactionHeader } from "../../../transaction/journal.ts";
import type { TakenOver } from "../../../transaction/taking-over.ts";
import type { Api, SagaContext } from "../context.ts";

/** Holds again the keys of a transaction that nobody has in hand. @throws N0Error `aborted` where another does. */
export async function takeOver(
  api: Api,
  { guards, kind, id }: Pick<TransactionHeader, "guards" | "kind" | "id">,
): Promise<TakenOver<SagaContext>> {
  const held = await api.locks.acquire(guards, { action: kind, transactionId: id });
  return { context: { api, held }, onRest: () => held.release() };
}
