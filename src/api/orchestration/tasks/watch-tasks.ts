import { create, equals } from "@bufbuild/protobuf";
import {
  type TaskStatus,
  TaskStatusSchema,
  type WatchTasksResponse,
  WatchTasksResponseSchema,
} from "../../../gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { pause } from "../../../util/clock.ts";
import { notFound } from "../../../util/errors.ts";
import type { Call } from "../../core/context.ts";
import { ChangedNames } from "../../core/read/watch.ts";
import { findTransaction } from "../../observe/transaction/find.ts";
import { throwUnlessTouchable } from "../../observe/transaction/place.ts";
import { type Seen, toWire } from "../../observe/transaction/view.ts";
import { isOver } from "../../observe/transaction/watch.ts";
import type { Api } from "../../provisioning/context.ts";
import type { Known } from "./check.ts";
import { statusesOf } from "./status.ts";

/** Changes are collected for this time: many tasks change more often than anybody can read. */
const GATHER_MS = 100;

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
  const sent = new Map<string, TaskStatus>();
  while ((await changed.takeAll()).length > 0) {
    const seen = await findTransaction(api, id);
    if (seen === undefined) throw notFound("transaction", id);
    throwUnlessTouchable(api, call, "watch", seen.header);
    yield await answer(api, known, seen, sent);
    if (isOver(seen)) return;
    await pause(api.clock, GATHER_MS, signal);
  }
}

/** @param sent What the client knows. The new state of each changed task is put into it. */
async function answer(
  api: Api,
  { methods }: Known,
  seen: Seen,
  sent: Map<string, TaskStatus>,
): Promise<WatchTasksResponse> {
  const transaction = await toWire(api, seen);
  transaction.steps = [];
  const tasks = statusesOf(methods, seen.header, seen.rows).filter((task) => {
    const before = sent.get(task.name);
    return before === undefined || !equals(TaskStatusSchema, before, task);
  });
  for (const task of tasks) sent.set(task.name, task);
  return create(WatchTasksResponseSchema, { transaction, tasks });
}
