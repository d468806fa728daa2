import type { TaskSet } from "./task-set.ts";

/** One task of a transaction of tasks: a request that runs within it. */
export interface Task {
  readonly name: string;
  readonly set: TaskSet;
  /** Aborts when its acts should stop. */
  readonly signal: AbortSignal;
}
