import { ConflictError } from "../../../datastore/datastore.ts";
import type { Held } from "../../../datastore/lock-table.ts";
import { TRANSACTION_HEADER } from "../../../rpc/errors.ts";
import type { LiveTransaction } from "../../../transaction/live.ts";
import { N0Error } from "../../../util/errors.ts";
import { addLogFields } from "../../../util/log.ts";
import { askerOf } from "../asker.ts";
import type { Api, Call, Tx } from "../context.ts";
import { throwIfPending } from "./pending.ts";
import { throwUnlessRoom } from "./room.ts";

export interface SagaOptions {
  /** The RPC, said to whoever finds the keys held. */
  readonly kind: string;
  /** The objects that it changes. */
  readonly keys: readonly string[];
  /** Waits in line for held keys, as long as the caller does, instead of being refused. */
  readonly waits?: boolean;
  /** The transaction that it runs within, and that was admitted for both. */
  readonly within?: Tx;
  /** It sees by itself to records that are PENDING: a repair of those that no transaction is at work on. */
  readonly seesToPending?: boolean;
}

/**
 * Takes the keys and runs `saga` as one transaction; they are let go when it rests. Who waits for a key has
 * been admitted, so that not even those who wait are more than may be open.
 */
export async function runSaga<T>(
  api: Api,
  call: Call,
  { kind, keys, waits = false, within, seesToPending = false }: SagaOptions,
  saga: (tx: Tx) => Promise<T>,
): Promise<T> {
  if (within === undefined) throwUnlessRoom(api, kind);
  using _place = within === undefined ? api.engine.admit() : undefined;
  const attempt = within === undefined ? call.attempt : undefined;
  const leftMs = call.timeoutMs?.();
  const live = api.engine.enter({
    kind,
    guards: keys,
    asker: askerOf(call),
    ...(leftMs === undefined ? {} : { deadlineAtMs: api.clock.nowMs() + leftMs }),
    ...(attempt === undefined ? {} : { requestKey: attempt.requestKey }),
  });
  attempt?.begin(live.id);
  using _wait = within === undefined ? undefined : waitingFor(api, within, live);
  const own = within === undefined ? [live.id] : [live.id, within.id];
  const held = await takeKeys(api, call, live, waits);
  if (!seesToPending) await orLetGo(api, live, held, () => throwIfPending(api, held.keys, own));
  const options = {
    kind,
    guards: held.keys,
    context: { api, held, ...(attempt === undefined ? {} : { attempt }) },
    cancel: call.signal,
    onRest: () => held.release(),
    isAdmitted: true,
    ...(attempt === undefined ? {} : { unwoundWrites: attempt.unwoundWrites }),
    live,
  };
  return await orOvertaken(() =>
    api.engine.run(options, (tx) => {
      call.responseHeader.set(TRANSACTION_HEADER, tx.id);
      addLogFields({ transactionId: tx.id });
      return orOvertaken(() => saga(tx));
    }),
  );
}

/** What is refused here has begun nothing, so there is no transaction of it to be named. */
async function takeKeys(
  api: Api,
  call: Call,
  live: LiveTransaction,
  waits: boolean,
): Promise<Held> {
  const { guards: keys, kind: action } = live.header;
  const onAbort = () => live.stop(call.signal.reason);
  try {
    if (!waits) return api.locks.tryAcquire(keys, action, live.id);
    if (call.signal.aborted) onAbort();
    call.signal.addEventListener("abort", onAbort, { once: true });
    const onWait = (key: string | undefined) => {
      live.waiting =
        key === undefined ? undefined : { for: "lock", key, sinceMs: api.clock.nowMs() };
    };
    const options = { action, transactionId: live.id, waitUntil: live.signal, onWait };
    return await api.locks.acquire(keys, options);
  } catch (reason) {
    api.engine.live.remove(live);
    throw live.cancelled === undefined ? reason : live.cancelledError(reason);
  } finally {
    call.signal.removeEventListener("abort", onAbort);
  }
}

/** A refusal under the keys has begun nothing either. */
async function orLetGo(
  api: Api,
  live: LiveTransaction,
  held: Held,
  check: () => Promise<void>,
): Promise<void> {
  try {
    await check();
  } catch (reason) {
    held.release();
    api.engine.live.remove(live);
    throw reason;
  }
}

/** Shows in a transaction that it waits for one within it. */
function waitingFor(api: Api, { live }: Tx, inner: LiveTransaction): Disposable {
  live.waiting = { for: "transaction", id: inner.id, sinceMs: api.clock.nowMs() };
  return {
    [Symbol.dispose]: () => {
      live.waiting = undefined;
    },
  };
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
