import { create, equals } from "@bufbuild/protobuf";
import {
  type TaskStatus,
  TaskStatusSchema,
  type WatchTasksResponse,
  WatchTasksResponseSchema,
} from "../../../gen/n0stack/transaction/v1alpha1/task_pb.ts";
import type { StepRow, TransactionHeader } from "../../../transaction/journal.ts";
import { pause } from "../../../util/clock.ts";
import { notFound } from "../../../util/errors.ts";
import type { Call } from "../../core/context.ts";
import { ChangedNames } from "../../core/read/watch.ts";
import { findTransaction } from "../../observe/transaction/find.ts";
import { throwUnlessTouchable } from "../../observe/transaction/place.ts";
import { type Seen, withoutSteps } from "../../observe/transaction/view.ts";
import { isOver } from "../../observe/transaction/watch.ts";
import type { Api } from "../../provisioning/context.ts";
import type { Known } from "./check.ts";
import { statusesOf } from "./status.ts";

/** Changes are collected for this time: many tasks change more often than anybody can read. */
const GATHER_MS = 100;
/** And for so many times as long as the last answer took to make: a look at very many tasks costs. */
const GATHER_FACTOR = 9;

/**
 * Sends all tasks, then those that have changed, until the transaction does not continue by itself.
 *
 * @throws N0Error `not_found` for a transaction that does not exist for the caller.
 */
export async function* watchTasks(
  api: Api,
  known: Known,
  call: Call,
  id: string,
): AsyncGenerator<WatchTasksResponse> {
  const signal = AbortSignal.any([call.signal, api.shutdown]);
  using changed = new ChangedNames(signal);
  using stops = new DisposableStack();
  stops.defer(
    api.engine.live.onChange((own) => {
      if (own === id) changed.add(own);
    }),
  );
  changed.add(id);
  const tasks = new ChangedTasks();
  while ((await changed.takeAll()).length > 0) {
    const beganMs = api.clock.monotonicMs();
    const seen = await findTransaction(api, id);
    if (seen === undefined) throw notFound("transaction", id);
    throwUnlessTouchable(api, call, "watch", seen.header);
    const transaction = await withoutSteps(api, seen);
    const response = create(WatchTasksResponseSchema, {
      transaction,
      tasks: tasks.take(known, seen),
    });
    const tookMs = api.clock.monotonicMs() - beganMs;
    yield response;
    if (isOver(seen)) return;
    await pause(api.clock, Math.max(GATHER_MS, GATHER_FACTOR * tookMs), signal);
  }
}

/** What a client knows of the tasks. */
class ChangedTasks {
  readonly #sent = new Map<string, TaskStatus>();
  readonly #rowsOf = new Map<string, readonly StepRow[]>();
  #header: TransactionHeader | undefined;

  /** The tasks that are not as the client knows them. From now on it does. */
  take({ methods }: Known, { header, rows }: Seen): TaskStatus[] {
    const isSameState =
      this.#header?.state === header.state && this.#header.isCommitted === header.isCommitted;
    this.#header = header;
    // Most tasks do not change between two looks, and their answers take long to read.
    const mayHaveChanged = (task: string, its: readonly StepRow[]) => {
      const before = this.#rowsOf.get(task);
      this.#rowsOf.set(task, its);
      return !isSameState || before === undefined || !isSame(before, its);
    };
    const changed = statusesOf(methods, header, rows, mayHaveChanged).filter((task) => {
      const before = this.#sent.get(task.name);
      return before === undefined || !equals(TaskStatusSchema, before, task);
    });
    for (const task of changed) this.#sent.set(task.name, task);
    return changed;
  }
}

/** A row in memory is replaced when it changes. */
function isSame(before: readonly StepRow[], after: readonly StepRow[]): boolean {
  return before.length === after.length && before.every((row, i) => row === after[i]);
}
