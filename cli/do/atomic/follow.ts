import { create } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import {
  TaskService,
  type TaskStatus,
  WatchTasksRequestSchema,
} from "../../../src/gen/n0stack/transaction/v1alpha1/task_pb.ts";
import type { Transaction } from "../../../src/gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { callStream, only } from "../../call.ts";
import type { CliContext } from "../../context.ts";
import { failureLine } from "../../failure.ts";
import { withRetry } from "../../retry.ts";
import { isOver } from "../../transaction/words.ts";

/** A transaction of tasks as it is now, with all its tasks by name. */
export interface Followed {
  readonly transaction: Transaction;
  readonly tasks: ReadonlyMap<string, TaskStatus>;
}

/** Is told the tasks that have changed since the last call. */
export type OnChange = (followed: Followed, changed: readonly TaskStatus[]) => void;

/**
 * Follows a transaction until it is at rest, needs an operator, or `signal` aborts. If the connection breaks, it
 * follows it again.
 *
 * @throws ConnectError as the server gave it, or after a minute without a server.
 */
export async function followTasks(
  cli: CliContext,
  id: string,
  signal: AbortSignal,
  onChange: OnChange,
): Promise<Followed | undefined> {
  const { clock, random } = cli.io;
  let last: Followed | undefined;
  const tasks = new Map<string, TaskStatus>();
  const read = async () => {
    const request = create(WatchTasksRequestSchema, { transactionId: id });
    const answers = await callStream(cli, TaskService.method.watchTasks, only(request), signal);
    for await (const { transaction, tasks: sent } of answers) {
      if (transaction === undefined) continue;
      // After a new connection the server sends all of them again.
      const changed = sent.filter((task) => !isSame(tasks.get(task.name), task));
      for (const task of changed) tasks.set(task.name, task);
      last = { transaction, tasks };
      onChange(last, changed);
    }
  };
  const policy = {
    clock,
    random,
    signal,
    isKnown: () => true,
    onWait: () => {},
    onGone: (ms: number, failure: ConnectError) =>
      cli.say(`---> Trying again for up to ${ms / 1000} s: ${failureLine(failure)}`),
  };
  while (!signal.aborted && (last === undefined || !isOver(last.transaction))) {
    try {
      await withRetry(policy, read);
    } catch (reason) {
      if (!signal.aborted) throw reason;
    }
  }
  return last;
}

function isSame(before: TaskStatus | undefined, { state, step, node, error }: TaskStatus): boolean {
  return (
    before !== undefined &&
    before.state === state &&
    before.step === step &&
    before.node === node &&
    before.error === error
  );
}
