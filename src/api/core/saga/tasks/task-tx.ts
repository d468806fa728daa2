import { type DescMethod, type Message, toBinary } from "@bufbuild/protobuf";
import type { Put, Writes } from "../../../../datastore/datastore.ts";
import type { AnyStep, Later } from "../../../../transaction/step.ts";
import type { Json } from "../../../../util/json.ts";
import type { Api, SagaContext } from "../../context.ts";
import type { CommitAnswer, CommittingTx } from "../tx.ts";
import { isObject, marked } from "./marks.ts";
import type { Task } from "./task.ts";
import { commitTask, replacing } from "./task-steps.ts";

/** A transaction as a saga sees it that runs as a task: it acts in the transaction of the whole. */
export interface TaskTx<A extends Api = Api> extends CommittingTx<A> {
  readonly isCommitted: boolean;
  readonly commitAnswer: CommitAnswer;
}

/** @param method undefined for a part of a task that answers nothing. */
export function taskTx(task: Task, method?: DescMethod): TaskTx {
  const { set, name, signal } = task;
  const { tx, context } = set;
  const of = { task: name, signal };
  let isCommitted = false;
  const commitOnce = async (answer: string, writes: Writes, laters: readonly Later[]) => {
    if (isCommitted) throw new Error(`task ${name} commits a second time`);
    await commit(context, task, answer, writes, laters);
    isCommitted = true;
  };
  // One function for all overloads of `run`: which one it is only matters to the caller.
  const run = async (
    step: AnyStep<SagaContext, Json, unknown, Writes, unknown>,
    input: Json,
    secret?: unknown,
  ) => await set.run(of, step, input, secret);
  return {
    context,
    run: run as TaskTx["run"],
    signal,
    get isCommitted() {
      return isCommitted;
    },
    get id() {
      return tx.id;
    },
    get live() {
      return tx.live;
    },
    get header() {
      return tx.header;
    },
    get generation() {
      return tx.generation;
    },
    get rows() {
      return tx.rows.filter(({ task }) => task === name);
    },
    commit: (writes, ...laters) => commitOnce("", writes, laters),
    commitAnswer: (value, encoded, writes, laters) =>
      commitOnce(answerText(method, value, encoded), writes, laters),
  };
}

function answerText(
  method: DescMethod | undefined,
  value: Message,
  encoded: Uint8Array | undefined,
): string {
  if (method === undefined) return "";
  return Buffer.from(encoded ?? toBinary(method.output, value)).toString("base64");
}

async function commit(
  context: SagaContext,
  { set, name, signal }: Task,
  answer: string,
  { puts = [], deletes = [], conditions = [] }: Writes,
  laters: readonly Later[],
): Promise<void> {
  const { api } = context;
  const acts = set.hasActed(name) || deletes.length + laters.length > 0;
  if (!acts && (await isAllThere(context, puts))) {
    const nothing = { records: [], conditions: [], isUnchanged: true };
    await set.run({ task: name, signal }, commitTask, { name, answer, ...nothing });
    set.add({ task: name, ...NOTHING });
    return;
  }
  const marks = puts.map((put) => marked(api, put, set.tx.id));
  const written = puts.map((put, i) => marks[i] ?? put);
  const input = { name, answer, ...(await replacing(context, written, conditions)) };
  await set.run({ task: name, signal }, commitTask, input);
  const own = new Set(puts.map(({ key }) => key));
  // Whoever deletes an object has conditions such as that nobody has begun to use it.
  const kept = deletes.some((key) => isObject(api, key))
    ? conditions.filter(({ key }) => !own.has(key))
    : [];
  set.add({
    task: name,
    marked: marks.flatMap((put) => put?.key ?? []),
    written: [...own],
    deletes: deletes.filter((key) => !own.has(key)),
    conditions: kept,
    laters,
  });
}

const NOTHING = { marked: [], written: [], deletes: [], conditions: [], laters: [] };

async function isAllThere({ api }: SagaContext, puts: readonly Put[]): Promise<boolean> {
  for (const { key, value } of puts) {
    const present = await api.datastore.get(key);
    if (present === undefined) return false;
    const kind = api.kinds.find(({ collection }) => key.startsWith(collection.prefix));
    const isSame = kind?.collection.isSame(present.value, value);
    if (!(isSame ?? Buffer.compare(present.value, value) === 0)) return false;
  }
  return true;
}

/** Keeps the answer of a task that changes nothing. */
export async function noteAnswer(
  { set, name, signal }: Task,
  method: DescMethod,
  answer: Message,
): Promise<void> {
  const input = {
    name,
    answer: answerText(method, answer, undefined),
    records: [],
    conditions: [],
  };
  await set.run({ task: name, signal }, commitTask, input);
}
