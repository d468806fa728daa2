import { referenceKey } from "../../../../datastore/references.ts";
import type { Ref } from "../../../../util/ref.ts";
import { currentTask } from "../ambient.ts";

/** Says that the present request deletes the object. Within a task, that happens when all tasks are done. */
export function willDelete(ref: Ref): void {
  const task = currentTask();
  task?.set.willDelete(ref, task.name);
}

/**
 * Whether an earlier task of the same transaction deletes the object. It is still there, and what it uses too. But
 * both are gone before anything of this task is removed.
 */
export function isGoing(ref: Ref): boolean {
  return currentTask()?.set.deleterOf(ref) !== undefined;
}

/** Whether the object still refers to another one when all tasks are done, if it does now. */
export function staysReferrer(from: Ref, to: Ref): boolean {
  return !isGoing(from) && !isRecordGoing(referenceKey({ from, to }));
}

/** Whether an earlier task of the same transaction ends with a delete of the record, such as that of an interface. */
export function isRecordGoing(key: string): boolean {
  return currentTask()?.set.deletes(key) === true;
}
