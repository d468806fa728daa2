import type { TransactionHeader } from "../../../transaction/journal.ts";
import type { TakenOver } from "../../../transaction/taking-over.ts";
import type { Api, SagaContext } from "../context.ts";

/** Holds the keys of a transaction again that nobody has in hand. @throws N0Error `aborted` where another holds one. */
export async function takeOver(
  api: Api,
  { guards, kind: action, id: transactionId }: TransactionHeader,
  takesOverFrom: (session: string) => boolean,
): Promise<TakenOver<SagaContext>> {
  const held = await api.locks.acquire(guards, { action, transactionId, takesOverFrom });
  return { context: { api, held }, onRest: () => held.release() };
}
