import { AsyncLocalStorage } from "node:async_hooks";
import type { Task } from "./tasks/task.ts";

interface Ambient {
  readonly transactionId: string;
  /** Set within a transaction of tasks. */
  readonly task?: Task;
}

const ambient = new AsyncLocalStorage<Ambient>();

/** Runs `work` as a part of this transaction, and of this task of it. */
export function runAmbient<T>(of: Ambient, work: () => Promise<T>): Promise<T> {
  return ambient.run(of, work);
}

/** The id of the transaction within which this code runs; undefined outside of all. */
export function currentTransactionId(): string | undefined {
  return ambient.getStore()?.transactionId;
}

/** The task within which this code runs. */
export function currentTask(): Task | undefined {
  return ambient.getStore()?.task;
}

/** The node on which a plan has placed the object of the task within which this code runs. */
export function plannedNode(): string | undefined {
  return currentTask()?.place?.node || undefined;
}

/**
 * Whether another transaction has marked the object as its own: it has made or changed the object, and has not
 * committed. Nobody else may rely on the object as it is.
 */
export function isOfAnother({ transactionId }: { readonly transactionId: string }): boolean {
  return transactionId !== "" && transactionId !== currentTransactionId();
}
