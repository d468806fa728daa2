import { create } from "@bufbuild/protobuf";
import {
  type RunTasksRequest,
  type RunTasksResponse,
  RunTasksResponseSchema,
  TaskService,
} from "../../../gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { N0Error } from "../../../util/errors.ts";
import type { Call } from "../../core/context.ts";
import type { Different } from "../../core/resource/differences.ts";
import { runTaskSet } from "../../core/saga/saga.ts";
import type { Api } from "../../provisioning/context.ts";
import type { Known } from "./check.ts";
import { throwIfMoved, throwUnlessSame } from "./moved.ts";
import { prepare } from "./prepare.ts";
import { statusesOf } from "./status.ts";
import { TaskRun } from "./task-run.ts";

const PARALLEL_DEFAULT = 10;

/**
 * Runs the tasks as one transaction. If the client hangs up, the transaction goes on.
 *
 * @param onDifferent Of a plan, which goes on then.
 * @throws N0Error `invalid_argument` for tasks that cannot run; the error of the task that failed, with its name; and
 *   the errors of every transaction.
 */
export async function runTasks(
  api: Api,
  known: Known,
  call: Call,
  request: RunTasksRequest,
  onDifferent?: (task: string, different: Different) => void,
): Promise<RunTasksResponse> {
  const prepared = await prepare(api, known, call, request);
  const begun = Promise.withResolvers<string>();
  const method = TaskService.method.runTasks;
  const early = (transactionId: string) => create(RunTasksResponseSchema, { transactionId });
  const options = {
    method,
    keys: prepared.keys,
    ...(request.detach ? { answersEarly: early } : {}),
  };
  // Nobody who hangs up may stop it. A cancel and the end of the process do.
  const { timeoutMs: _, ...rest } = call;
  const own = { ...rest, signal: new AbortController().signal };
  const running = runTaskSet(api, own, options, async (tx, set) => {
    await throwIfMoved(api, call, request.restsOn);
    // What an undo or a stack rests on cannot change any more under the keys.
    const isMade = request.undoOf !== "" || request.stack !== undefined;
    const settled = isMade ? await prepare(api, known, call, request) : prepared;
    begun.resolve(tx.id);
    if (onDifferent !== undefined) {
      set.onDifferent = (task, different) => {
        onDifferent(task, different);
        return "leave";
      };
    }
    set.mayRestart = request.allowRestart;
    const run = new TaskRun(known, call, set, settled);
    const planned = new Map(request.restsOn.map((one) => [one.key, one]));
    set.onTaken = (keys) => {
      const taken = keys.flatMap((key) => planned.get(key) ?? []);
      return run.orStop(throwUnlessSame(api, taken));
    };
    await run.run(request.parallel || PARALLEL_DEFAULT);
    const parts = await set.commitParts(api);
    if (settled.stack !== undefined)
      parts.push(await settled.stack.commit(tx, parts, run.answerOf));
    const statuses = statusesOf(known.methods, tx.header, tx.rows);
    const answer = create(RunTasksResponseSchema, { transactionId: tx.id, tasks: statuses });
    const answered = await tx.answer(answer, ...parts);
    // A plan has told no node of anything.
    if (onDifferent === undefined) await set.waited(tx.signal);
    return answered;
  });
  running.catch(() => {});
  if (!request.detach) return await whileClientWaits(call.signal, running);
  return early(
    await Promise.race([begun.promise, running.then(({ transactionId }) => transactionId)]),
  );
}

async function whileClientWaits<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const { promise: gone, reject } = Promise.withResolvers<never>();
  const leave = () =>
    reject(
      new N0Error("canceled", "the client hung up; the transaction goes on", {
        cause: signal.reason,
      }),
    );
  if (signal.aborted) leave();
  signal.addEventListener("abort", leave, { once: true });
  try {
    return await Promise.race([work, gone]);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}
