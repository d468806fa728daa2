import type { HeldObjects } from "../../../datastore/held-objects.ts";
import type { LiveTransaction } from "../../../transaction/live.ts";
import { N0Error } from "../../../util/errors.ts";
import type { Api, Call } from "../context.ts";

/**
 * The objects that a saga changes. A function reads them from the current records, and is called again under
 * the keys. If the objects differ then, the keys are released and the others taken.
 */
export type Keys = readonly string[] | (() => Promise<readonly string[]>);

/** How often the keys may change before they are held. */
export const KEYS_TRIES_MAX = 8;

/** The keys, if the records still ask for the same ones when they are held. */
export async function takeSettledKeys(
  api: Api,
  call: Call,
  live: LiveTransaction,
  keys: Keys,
  waits: boolean,
): Promise<HeldObjects> {
  for (let tries = 1; ; tries++) {
    const held = await takeKeys(api, call, live, waits);
    if (typeof keys !== "function") return held;
    const wanted = await orLetGo(api, live, held, keys);
    if (isSameSet(wanted, held.keys)) return held;
    await held.release();
    if (tries === KEYS_TRIES_MAX) {
      api.engine.live.remove(live);
      const message = `${live.header.kind}: other transactions keep changing its objects: try again`;
      throw new N0Error("aborted", message, { retryAfterMs: 100 });
    }
    live.header = { ...live.header, guards: wanted };
  }
}

export function isSameSet(a: readonly string[], b: readonly string[]): boolean {
  return new Set(a).symmetricDifference(new Set(b)).size === 0;
}

/** A request that is refused here has begun nothing, so the error names no transaction. */
async function takeKeys(
  api: Api,
  call: Call,
  live: LiveTransaction,
  waits: boolean,
): Promise<HeldObjects> {
  const { guards: keys, kind: action } = live.header;
  const onAbort = () => live.stop(call.signal.reason);
  try {
    const asker = { action, transactionId: live.id };
    if (!waits) return await api.locks.acquire(keys, asker);
    if (call.signal.aborted) onAbort();
    call.signal.addEventListener("abort", onAbort, { once: true });
    const onWait = (key: string | undefined) => {
      live.waiting =
        key === undefined ? undefined : { for: "lock", key, sinceMs: api.clock.nowMs() };
    };
    return await api.locks.acquire(keys, { ...asker, waitUntil: live.signal, onWait });
  } catch (reason) {
    api.engine.live.remove(live);
    throw live.cancelled === undefined ? reason : live.cancelledError(reason);
  } finally {
    call.signal.removeEventListener("abort", onAbort);
  }
}

/** A refusal under the keys has begun nothing either. */
export async function orLetGo<T>(
  api: Api,
  live: LiveTransaction,
  held: HeldObjects,
  check: () => Promise<T>,
): Promise<T> {
  try {
    return await check();
  } catch (reason) {
    await held.release();
    api.engine.live.remove(live);
    throw reason;
  }
}
