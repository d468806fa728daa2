import { create, fromJson, type Message } from "@bufbuild/protobuf";
import { keyText } from "../../../datastore/key.ts";
import {
  type ObjectRevision,
  type RunTasksRequest,
  type RunTasksResponse,
  RunTasksResponseSchema,
  TaskService,
} from "../../../gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { SimulatedCrash } from "../../../transaction/faults.ts";
import { invalid, N0Error, withFacts } from "../../../util/errors.ts";
import { quote } from "../../../util/quote.ts";
import { runTasks as runGraph } from "../../../util/run-graph.ts";
import { isSamePlace, placeOf, placeText, type TaskPlace } from "../../../util/task-place.ts";
import { type Answer, fillArgs } from "../../../util/template/fill.ts";
import type { Call } from "../../core/context.ts";
import { runAmbient } from "../../core/saga/ambient.ts";
import { runTaskSet } from "../../core/saga/saga.ts";
import type { TaskSet } from "../../core/saga/tasks/task-set.ts";
import { noteAnswer } from "../../core/saga/tasks/task-tx.ts";
import { refOf } from "../../core/scope.ts";
import type { Api } from "../../provisioning/context.ts";
import { undoTasks } from "../undo/undo-tasks.ts";
import { type CheckedTask, checkTasks, type Known, objectsAhead } from "./check.ts";
import { changesSomething, nameOf } from "./methods.ts";
import { isOfProject } from "./of-project.ts";
import { answerJson, statusesOf } from "./status.ts";

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
  onDifferent?: TaskSet["onDifferent"],
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
    // What an undo rests on cannot change any more under the keys.
    const isUndo = request.undoOf !== "";
    const { tasks, places } = isUndo ? await prepare(api, known, call, request) : prepared;
    begun.resolve(tx.id);
    set.onDifferent = onDifferent;
    const run = new TaskRun(known, call, set, tasks, places);
    const planned = new Map(request.restsOn.map((one) => [one.key, one]));
    set.onTaken = (keys) =>
      run.orStop(
        throwUnlessSame(
          api,
          keys.flatMap((key) => planned.get(key) ?? []),
        ),
      );
    await run.run(request.parallel || PARALLEL_DEFAULT);
    const parts = await set.commitParts(api);
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

/** By the name of the task. */
type Places = ReadonlyMap<string, TaskPlace>;

interface Prepared {
  readonly tasks: ReadonlyMap<string, CheckedTask>;
  readonly places: Places | undefined;
  /** Of the objects that the tasks change, as far as their requests name them. */
  readonly keys: readonly string[];
}

/** @throws N0Error `invalid_argument` for tasks that cannot run; the errors of `undoTasks`. */
async function prepare(
  api: Api,
  known: Known,
  call: Call,
  request: RunTasksRequest,
): Promise<Prepared> {
  const { tasks: asked, undoOf, discardData } = request;
  if (undoOf === "" ? asked.length === 0 : asked.length > 0) {
    throw invalid("tasks", "must have a task; or none, and undo_of the id of a transaction");
  }
  const undone = undoOf === "" ? undefined : await undoTasks(api, call, undoOf, discardData);
  const checked = checkTasks(known, undone?.tasks ?? asked);
  const places = placesIn(request, checked);
  const tasks = places === undefined ? checked : withoutIgnored(checked, places);
  const ahead = objectsAhead(known, tasks.values()).map(({ kind, name }) =>
    kind.collection.key(refOf(call, kind.collection, name)),
  );
  return { tasks, places, keys: [...new Set([...ahead, ...(undone?.keys ?? [])])] };
}

/**
 * @throws N0Error `failed_precondition` that names the objects that are not as the plan has found them;
 *   `invalid_argument` for what is not an object of the project of the call: nobody learns of others by this.
 */
export async function throwIfMoved(
  api: Api,
  call: Call,
  restsOn: readonly ObjectRevision[],
): Promise<void> {
  for (const [i, { key }] of restsOn.entries()) {
    if (isOfProject(api, call, key)) continue;
    throw invalid(`rests_on[${i}].key`, "is not an object of the project");
  }
  await throwUnlessSame(api, restsOn);
}

async function throwUnlessSame(
  { datastore }: Pick<Api, "datastore">,
  objects: readonly ObjectRevision[],
): Promise<void> {
  const moved: string[] = [];
  for (const { key, revision } of objects) {
    const entry = await datastore.get(key);
    if (BigInt(entry?.revision ?? 0) !== revision) moved.push(keyText(key));
  }
  if (moved.length === 0) return;
  const some = moved.slice(0, 5).join(", ");
  const more = moved.length > 5 ? ` and ${moved.length - 5} more` : "";
  const message = `the plan is out of date: since then changed ${some}${more}: make it again`;
  throw new N0Error("failed_precondition", message, { resource: moved[0]! });
}

/** @throws N0Error `invalid_argument` for a place of no task. */
function placesIn(
  { places }: RunTasksRequest,
  tasks: ReadonlyMap<string, unknown>,
): Places | undefined {
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

/** @throws N0Error `failed_precondition` if the object of a task is not where the plan says. */
async function throwIfElsewhere(
  task: string,
  planned: TaskPlace | undefined,
  place: TaskPlace,
): Promise<void> {
  if (planned !== undefined && isSamePlace(planned, place)) return;
  const says =
    planned === undefined
      ? "would be done, and the plan says that it fails"
      : `would be at ${placeText(place)}, and the plan says ${placeText(planned)}`;
  const message = `task ${quote(task)} ${says}: make the plan again`;
  throw new N0Error("failed_precondition", message);
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

/** One run of all tasks, within their transaction. */
class TaskRun {
  readonly #known: Known;
  readonly #call: Call;
  readonly #set: TaskSet;
  readonly #tasks: ReadonlyMap<string, CheckedTask>;
  /** By task; undefined without a plan. */
  readonly #places: Places | undefined;
  readonly #stop = new AbortController();
  readonly #answers = new Map<string, Answer>();
  #failure: Error | undefined;

  constructor(
    known: Known,
    call: Call,
    set: TaskSet,
    tasks: ReadonlyMap<string, CheckedTask>,
    places: Places | undefined,
  ) {
    this.#known = known;
    this.#call = call;
    this.#set = set;
    this.#tasks = tasks;
    this.#places = places;
  }

  /** If the check fails, everything stops, also if the failure of the task that asks for it may be ignored. */
  async orStop(check: Promise<void>): Promise<void> {
    try {
      await check;
    } catch (reason) {
      if (this.#failure === undefined) this.#stopWith(reason as Error);
      throw reason;
    }
  }

  /** @throws N0Error of the first task that failed, when none runs any more. */
  async run(parallel: number): Promise<void> {
    const { live } = this.#set.tx;
    await this.#set.list([...this.#tasks.values()].map(listed));
    const stop = AbortSignal.any([live.signal, this.#stop.signal]);
    const { notStarted } = await runGraph(this.#tasks, {
      parallel,
      stop,
      call: (task) => this.#run(task, stop),
      observer: {
        started: () => {},
        stopping: () => {},
        ended: (name, ending) => {
          if (ending.kind === "failed") this.#fail(this.#tasks.get(name)!, ending.error);
        },
      },
    });
    if (this.#failure !== undefined) throw this.#failure;
    if (notStarted.length > 0) live.signal.throwIfAborted();
  }

  async #run(task: CheckedTask, signal: AbortSignal): Promise<void> {
    const { name, method, ignoreError } = task;
    const { tx } = this.#set;
    try {
      await this.#set.begin({ name, rpc: nameOf(method) }, signal);
      const of = { name, set: this.#set, signal, place: this.#places?.get(name) };
      const answer = await runAmbient({ transactionId: tx.id, task: of }, () =>
        this.#known.methods.call(method, this.#requestOf(task), this.#call, signal),
      );
      await this.#ended(task, answer, signal);
    } catch (reason) {
      if (reason instanceof SimulatedCrash) this.#stopWith(reason);
      this.#set.fail(name, reason);
      // What failed because everything stops is undone with everything.
      if (ignoreError && !signal.aborted) await this.#undo(task);
      throw reason;
    }
  }

  #requestOf({ method, args }: CheckedTask): Message {
    const filled = fillArgs(method.input, args, (other) => this.#answers.get(other));
    try {
      return fromJson(method.input, filled);
    } catch (cause) {
      // A number that is too large for its field.
      throw invalid("args", cause instanceof Error ? cause.message : String(cause));
    }
  }

  async #ended(
    { name, method, args }: CheckedTask,
    answer: Message,
    signal: AbortSignal,
  ): Promise<void> {
    if (!this.#set.hasCommitted(name)) {
      if (changesSomething(method))
        throw new Error(`${method.name} has changed something by itself`);
      await noteAnswer({ name, set: this.#set, signal }, method, answer);
    }
    const json = answerJson(method.output, answer);
    if (this.#places !== undefined) {
      await this.orStop(throwIfElsewhere(name, this.#places.get(name), placeOf(json, args)));
    }
    this.#answers.set(name, { type: method.output, json });
  }

  /** Undoes what it has done. If that is not possible now, everything stops and is undone. */
  async #undo(task: CheckedTask): Promise<void> {
    try {
      await this.#set.undo(task.name);
    } catch (reason) {
      this.#fail(task, reason);
    }
  }

  /** Only the first failure counts: others fail because everything stops. */
  #fail(task: CheckedTask, reason: unknown): void {
    if (this.#failure !== undefined) return;
    this.#stopWith(failed(task, this.#set.failedStep(task.name), reason));
  }

  #stopWith(failure: Error): void {
    this.#failure = failure;
    this.#stop.abort(new N0Error("aborted", "another task has failed"));
  }
}

function listed({ name, method, dependsOn, ignoreError }: CheckedTask) {
  return { name, rpc: nameOf(method), dependsOn, ignoreError };
}

function failed({ name, method }: CheckedTask, step: string | undefined, reason: unknown): N0Error {
  const { kind, message, facts } = withFacts(reason, {});
  const where = step === undefined ? method.name : `${method.name}, step ${step}`;
  return new N0Error(kind, `task ${quote(name)} (${where}): ${message}`, facts);
}
