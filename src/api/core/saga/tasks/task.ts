import type { TaskPlace } from "../../../../util/task-place.ts";
import type { TaskSet } from "./task-set.ts";

/** One task of a transaction of tasks: a request that runs within it. */
export interface Task {
  readonly name: string;
  readonly set: TaskSet;
  /** Aborts when its acts should stop. */
  readonly signal: AbortSignal;
  /** Where a plan has placed its object: it is placed there again. */
  readonly place?: TaskPlace | undefined;
}
