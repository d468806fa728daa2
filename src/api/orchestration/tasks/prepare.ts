import type {
  RunTasksRequest,
  StackChange,
} from "../../../gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { defined } from "../../../util/defined.ts";
import { invalid } from "../../../util/errors.ts";
import { quote } from "../../../util/quote.ts";
import type { TaskPlace } from "../../../util/task-place.ts";
import type { Call } from "../../core/context.ts";
import { refOf } from "../../core/scope.ts";
import type { Api } from "../../provisioning/context.ts";
import { openStack, type StackRun } from "../stack/change.ts";
import { undoTasks } from "../undo/undo-tasks.ts";
import { type CheckedTask, checkTasks, type Known, objectsAhead } from "./check.ts";

export type Tasks = ReadonlyMap<string, CheckedTask>;

/** By the name of the task. */
export type Places = ReadonlyMap<string, TaskPlace>;

/** A request whose tasks are known and checked. */
export interface Prepared {
  /** All tasks of the first phase are done before any of the second one. */
  readonly phases: readonly Tasks[];
  readonly places: Places | undefined;
  /** If the tasks are those of a stack. */
  readonly stack?: StackRun;
  /** Of the objects that the tasks change, as far as their requests name them. */
  readonly keys: readonly string[];
}

/**
 * The tasks of a request. Changes nothing.
 *
 * @throws N0Error `invalid_argument` for tasks that cannot run; the errors of `undoTasks` and `openStack`.
 */
export async function prepare(
  api: Api,
  known: Known,
  call: Call,
  request: RunTasksRequest,
): Promise<Prepared> {
  const { tasks: asked, undoOf, discardData, stack: change, allowRestart } = request;
  if (allowRestart && undoOf === "" && change === undefined) {
    throw invalid("allow_restart", "is for undo_of or stack: set restart of the request of a task");
  }
  throwUnlessOne(asked, undoOf, change);
  const undone = undoOf === "" ? undefined : await undoTasks(api, call, undoOf, discardData);
  const checked = checkTasks(known, undone?.tasks ?? asked);
  const stack = change && (await openStack(api, known, call, change, discardData, checked));
  const late = checkTasks(known, stack?.removals ?? []);
  const twice = [...late.keys()].find((name) => checked.has(name));
  if (twice !== undefined) throw invalid("tasks", `${quote(twice)} is the name of a delete`);
  const places = placesIn(request, new Set([...checked.keys(), ...late.keys()]));
  const tasks = places === undefined ? checked : withoutIgnored(checked, places);
  const ahead = objectsAhead(known, [...tasks.values(), ...late.values()]);
  const keys = ahead.map(({ kind, name }) =>
    kind.collection.key(refOf(call, kind.collection, name)),
  );
  return {
    phases: [tasks, late],
    places,
    ...defined({ stack }),
    keys: [...new Set([...keys, ...(undone?.keys ?? []), ...(stack?.keys ?? [])])],
  };
}

/** @throws N0Error `invalid_argument` unless it has tasks, or says whose tasks they are. */
function throwUnlessOne(
  tasks: readonly unknown[],
  undoOf: string,
  stack: StackChange | undefined,
): void {
  const isWithout = undoOf !== "" || stack?.delete === true;
  if (isWithout ? tasks.length > 0 : tasks.length === 0) {
    const rule =
      "must have a task; or none, and undo_of the id of a transaction, or a stack to delete";
    throw invalid("tasks", rule);
  }
  if (undoOf !== "" && stack !== undefined) throw invalid("undo_of", "must be empty with stack");
}

/** @throws N0Error `invalid_argument` for a place of no task. */
function placesIn({ places }: RunTasksRequest, tasks: ReadonlySet<string>): Places | undefined {
  for (const [i, { task }] of places.entries()) {
    if (!tasks.has(task)) throw invalid(`places[${i}].task`, `there is no task ${quote(task)}`);
  }
  return places.length === 0 ? undefined : new Map(places.map((place) => [place.task, place]));
}

/** The same tasks: what the plan says must be done, whatever may be ignored. */
function withoutIgnored(
  tasks: ReadonlyMap<string, CheckedTask>,
  places: Places,
): ReadonlyMap<string, CheckedTask> {
  return new Map(
    [...tasks].map(([name, task]) => [
      name,
      places.has(name) ? { ...task, ignoreError: false } : task,
    ]),
  );
}
