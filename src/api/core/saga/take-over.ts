import type { TakenOver } from "../../../transaction/engine.ts";
import type { TransactionHeader } from "../../../transaction/journal.ts";
import type { Api, SagaContext } from "../context.ts";

/** Holds again the keys of a transaction that nobody has in hand. @throws N0Error `aborted` where another does. */
export function takeOver(
  api: Api,
  { guards, kind, id }: Pick<TransactionHeader, "guards" | "kind" | "id">,
): TakenOver<SagaContext> {
  const held = api.locks.tryAcquire(guards, kind, id);
  return { context: { api, held }, onRest: () => held.release() };
}
