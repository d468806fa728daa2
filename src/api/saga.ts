import { ConflictError } from "../datastore/datastore.ts";
import { TRANSACTION_HEADER } from "../rpc/errors.ts";
import { N0Error } from "../util/errors.ts";
import { addLogFields } from "../util/log.ts";
import type { Api, Call, Tx } from "./context.ts";

export interface SagaOptions {
  /** The RPC, said to whoever finds the keys held. */
  readonly kind: string;
  /** The objects that it changes. */
  readonly keys: readonly string[];
  /** Waits in line for held keys, as long as the caller does, instead of being refused. */
  readonly waits?: boolean;
  /** Runs within another transaction, which was admitted for both. */
  readonly isNested?: boolean;
}

/**
 * Takes the keys and runs `saga` as one transaction; they are let go when it rests. Who waits for a key has
 * been admitted, so that not even those who wait are more than may be open.
 */
export async function runSaga<T>(
  api: Api,
  call: Call,
  { kind, keys, waits = false, isNested = false }: SagaOptions,
  saga: (tx: Tx) => Promise<T>,
): Promise<T> {
  using _place = isNested ? undefined : api.engine.admit();
  const held = await api.locks.acquire(
    keys,
    waits ? { action: kind, waitUntil: call.signal } : { action: kind },
  );
  const attempt = isNested ? undefined : call.attempt;
  const options = {
    kind,
    guards: held.keys,
    context: { api, held, ...(attempt === undefined ? {} : { attempt }) },
    cancel: call.signal,
    onRest: () => held.release(),
    isAdmitted: true,
    ...(attempt === undefined ? {} : { alongside: attempt }),
  };
  return await orOvertaken(() =>
    api.engine.run(options, (tx) => {
      call.responseHeader.set(TRANSACTION_HEADER, tx.id);
      addLogFields({ transactionId: tx.id });
      return orOvertaken(() => saga(tx));
    }),
  );
}

/** A condition that failed is somebody else's change, which the next try sees. */
async function orOvertaken<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof ConflictError)) throw cause;
    const message = "something that this rests on has just changed: try again";
    throw new N0Error("aborted", message, { retryAfterMs: 100, cause });
  }
}
