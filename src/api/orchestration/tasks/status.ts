import {
  create,
  type DescMessage,
  fromBinary,
  type JsonObject,
  type Message,
  toJson,
} from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  TaskStatus_State as State,
  type TaskStatus,
  TaskStatusSchema,
} from "../../../gen/n0stack/transaction/v1alpha1/task_pb.ts";
import {
  nodeOf,
  type StepRow,
  subjectOf,
  type TransactionHeader,
} from "../../../transaction/journal.ts";
import {
  beginTask,
  commitTask,
  type ListedTask,
  listTasks,
} from "../../core/saga/tasks/task-steps.ts";
import type { Methods } from "./methods.ts";

/**
 * The tasks of a transaction, as its journal has them. None for a transaction without tasks.
 *
 * @param isAsked by the name and the rows of a task.
 */
export function statusesOf(
  methods: Pick<Methods, "find">,
  header: TransactionHeader,
  rows: readonly StepRow[],
  isAsked: (task: string, its: readonly StepRow[]) => boolean = () => true,
): TaskStatus[] {
  const list = rows.find(({ name }) => name === listTasks.name);
  if (list === undefined) return [];
  const { tasks } = list.input as { readonly tasks: readonly ListedTask[] };
  const rowsOf = Map.groupBy(rows, ({ task = "" }) => task);
  const ended = new Map([...rows.flatMap((row) => row.ended ?? []), ...(header.ended ?? [])]);
  return tasks.flatMap((task) => {
    const its = rowsOf.get(task.name) ?? [];
    return isAsked(task.name, its) ? [statusOf(methods, header, task, its, ended)] : [];
  });
}

function statusOf(
  methods: Pick<Methods, "find">,
  header: TransactionHeader,
  { name, rpc, dependsOn }: ListedTask,
  rows: readonly StepRow[],
  ended: ReadonlyMap<number, number>,
): TaskStatus {
  const action = rpc.split("/")[1] ?? rpc;
  const begin = rows.find((row) => row.name === beginTask.name);
  const state = stateOf(header, rows, begin);
  const status = create(TaskStatusSchema, { name, action, state, dependsOn: [...dependsOn] });
  if (begin === undefined) return status;
  status.startedAt = timestampFromMs(begin.startedAtMs);
  const shown = shownStep(state, rows);
  status.step = shown?.name ?? "";
  status.node = (shown && nodeOf(shown)) ?? "";
  status.subject = (shown && subjectOf(shown)) ?? "";
  status.error = begin.error ?? shown?.error ?? "";
  const commit = rows.findLast(isCommit);
  const last = commit ?? rows.at(-1);
  const endedAtMs = last && (last.endedAtMs ?? ended.get(last.seq));
  if (state !== State.RUNNING && endedAtMs !== undefined) {
    status.duration = durationFromMs(Math.max(0, endedAtMs - begin.startedAtMs));
  }
  const { isUnchanged = false } = (commit?.input ?? {}) as { readonly isUnchanged?: boolean };
  status.unchanged = state === State.DONE && isUnchanged;
  const answer = state === State.DONE ? answerIn(methods, rpc, commit) : undefined;
  if (answer !== undefined) status.answer = answer;
  return status;
}

function isCommit({ name }: StepRow): boolean {
  return name === commitTask.name;
}

function stateOf(
  { state, isCommitted }: TransactionHeader,
  rows: readonly StepRow[],
  begin: StepRow | undefined,
): State {
  if (begin === undefined) return state === "running" ? State.WAITING : State.UNSPECIFIED;
  const isFailed = begin.error !== undefined;
  const goesOn = state === "running" || isCommitted;
  if (begin.phase === "undone") {
    if (goesOn) return State.IGNORED;
    return isFailed ? State.FAILED : State.UNDONE;
  }
  if (isFailed) return State.FAILED;
  if (!goesOn) return State.UNDOING;
  return rows.some(isCommit) ? State.DONE : State.RUNNING;
}

/** The step that acts or is undone; of a failed task, the one that failed. */
function shownStep(state: State, rows: readonly StepRow[]): StepRow | undefined {
  const steps = rows.filter(({ name }) => name !== beginTask.name && name !== commitTask.name);
  switch (state) {
    case State.FAILED:
    case State.IGNORED:
      return steps.findLast(({ error }) => error !== undefined) ?? steps.at(-1);
    case State.RUNNING:
      return steps.findLast(({ endedAtMs }) => endedAtMs === undefined) ?? steps.at(-1);
    case State.UNDOING:
      return steps.find(({ undo, phase }) => undo !== undefined && phase !== "undone");
    default:
      return steps.at(-1);
  }
}

function answerIn(
  methods: Pick<Methods, "find">,
  rpc: string,
  commit: StepRow | undefined,
): JsonObject | undefined {
  const method = methods.find(rpc);
  const text = (commit?.input as { readonly answer?: string } | undefined)?.answer ?? "";
  if (method === undefined || commit === undefined) return undefined;
  return answerJson(method.output, fromBinary(method.output, Buffer.from(text, "base64")));
}

/** As protobuf's JSON, with the names of the proto. */
export function answerJson(schema: DescMessage, answer: Message): JsonObject {
  const json = toJson(schema, answer, { useProtoFieldName: true, alwaysEmitImplicit: true });
  return typeof json === "object" && json !== null && !Array.isArray(json) ? json : {};
}
