import type { TransactionHeader } from "../../../transaction/journal.ts";
import type { TakenOver } from "../../../transaction/taking-over.ts";
import type { Api, SagaContext } from "../context.ts";

/**
 * Takes the keys of a transaction again that no process runs. @throws N0Error `aborted` if another transaction
 * holds one.
 */
export async function takeOver(
  api: Api,
  { guards, kind: action, id: transactionId }: TransactionHeader,
  takesOverFrom: (session: string) => boolean,
): Promise<TakenOver<SagaContext>> {
  const held = await api.locks.acquire(guards, { action, transactionId, takesOverFrom });
  return { context: { api, held }, onRest: () => held.release() };
}
