import type { DescMethod } from "@bufbuild/protobuf";
import { caughtUp } from "../../../../datastore/datastore.ts";
import type { HeldObjects } from "../../../../datastore/held-objects.ts";
import { N0Error } from "../../../../util/errors.ts";
import type { Api } from "../../context.ts";
import { orOvertaken } from "../overtaken.ts";
import { throwIfNotForTask } from "../pending.ts";
import { isSameSet, KEYS_TRIES_MAX, type Keys } from "../take-keys.ts";
import type { Task } from "./task.ts";
import { type TaskTx, taskTx } from "./task-tx.ts";

/**
 * How long a task waits for a key that another transaction holds, where a request by itself would wait in line. Two
 * transactions may each hold what the other one waits for.
 */
const WAIT_MS = 10_000;

interface TaskOptions {
  /** The name that a refused caller sees if the keys are held. */
  readonly kind: string;
  /** Undefined for a part of a task that answers nothing. */
  readonly method?: DescMethod;
  readonly keys: Keys;
  readonly waits?: boolean;
  readonly seesToPending?: boolean;
}

/**
 * Runs a saga as a task: its steps are steps of the transaction of all tasks, and its commit is one of them.
 *
 * @throws what the saga throws. Nothing is undone: that is for the caller to do.
 */
export async function runAsTask<A extends Api, T>(
  api: A,
  task: Task,
  { kind, method, keys, waits = false, seesToPending = false }: TaskOptions,
  saga: (tx: TaskTx<A>) => Promise<T>,
): Promise<T> {
  const { turn, keys: held } = await takeTurn(api, task, kind, keys, waits);
  await using _turn = turn;
  await caughtUp(api.datastore);
  if (!seesToPending) await throwIfNotForTask(api, held, task);
  return await orOvertaken(async () => {
    const tx = taskTx(task, method);
    // The context of `tx` has this `api`, with everything that `A` adds.
    const work: { saga(tx: TaskTx): Promise<T> } = { saga };
    const result = await work.saga(tx);
    if (!tx.isCommitted) throw new Error(`${kind} ended without a commit`);
    return result;
  });
}

/** Waits for other tasks that work with these keys, and takes those that the transaction does not hold yet. */
async function takeTurn(
  api: Api,
  { set, signal }: Task,
  action: string,
  keys: Keys,
  waits: boolean,
): Promise<{ readonly turn: HeldObjects; readonly keys: readonly string[] }> {
  const read = async () => (typeof keys === "function" ? await keys() : keys);
  for (let tries = 1; ; tries++) {
    const wanted = await read();
    const turn = await set.turns.acquire("", wanted, { action, waitUntil: signal });
    try {
      const missing = wanted.filter((key) => !set.held.holds(key));
      const asker = { action, transactionId: set.tx.id };
      if (missing.length > 0) {
        set.take(await takeMissing(api, signal, missing, asker, waits));
        await set.onTaken(missing);
      }
      if (isSameSet(await read(), wanted)) return { turn, keys: wanted };
    } catch (reason) {
      await turn.release();
      throw reason;
    }
    await turn.release();
    if (tries === KEYS_TRIES_MAX) {
      const message = `${action}: other transactions keep changing its objects: try again`;
      throw new N0Error("aborted", message, { retryAfterMs: 100 });
    }
  }
}

async function takeMissing(
  api: Api,
  signal: AbortSignal,
  keys: readonly string[],
  asker: { readonly action: string; readonly transactionId: string },
  waits: boolean,
): Promise<HeldObjects> {
  if (!waits) return await api.locks.acquire(keys, asker);
  const patience = new AbortController();
  const ended = new AbortController();
  const late = api.clock.sleep(WAIT_MS, ended.signal).then(
    () => patience.abort(),
    () => undefined,
  );
  try {
    const waitUntil = AbortSignal.any([signal, patience.signal]);
    return await api.locks.acquire(keys, { ...asker, waitUntil });
  } finally {
    ended.abort();
    await late;
  }
}
