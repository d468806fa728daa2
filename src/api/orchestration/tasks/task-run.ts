import { fromJson, type Message } from "@bufbuild/protobuf";
import { SimulatedCrash } from "../../../transaction/faults.ts";
import { invalid, N0Error, withFacts } from "../../../util/errors.ts";
import { quote } from "../../../util/quote.ts";
import { runTasks as runGraph } from "../../../util/run-graph.ts";
import { isSamePlace, placeOf, placeText, type TaskPlace } from "../../../util/task-place.ts";
import { type Answer, type AnswerOf, fillArgs } from "../../../util/template/fill.ts";
import type { Call } from "../../core/context.ts";
import type { Different } from "../../core/resource/differences.ts";
import { runAmbient } from "../../core/saga/ambient.ts";
import type { TaskSet } from "../../core/saga/tasks/task-set.ts";
import { noteAnswer } from "../../core/saga/tasks/task-tx.ts";
import type { StackRun } from "../stack/change.ts";
import { changesInPlace } from "../stack/in-place.ts";
import type { CheckedTask, Known } from "./check.ts";
import { changesSomething, nameOf } from "./methods.ts";
import type { Places, Prepared, Tasks } from "./prepare.ts";
import { answerJson } from "./status.ts";

/** One run of all tasks, within their transaction. */
export class TaskRun {
  readonly #known: Known;
  readonly #call: Call;
  readonly #set: TaskSet;
  readonly #phases: readonly Tasks[];
  /** By task; undefined without a plan. */
  readonly #places: Places | undefined;
  /** By task, the object that exists and differs from what it asks for. Only of a stack, which changes it. */
  readonly #different = new Map<string, Different>();
  readonly #stop = new AbortController();
  readonly #answers = new Map<string, Answer>();
  #failure: Error | undefined;

  constructor(
    known: Known,
    call: Call,
    set: TaskSet,
    { phases, places, stack }: Pick<Prepared, "phases" | "places" | "stack">,
  ) {
    this.#known = known;
    this.#call = call;
    this.#set = set;
    this.#phases = phases;
    this.#places = places;
    if (stack === undefined) return;
    this.#hearDifferent(stack);
    set.hasMade = (key) => stack.hasMade(key);
  }

  #hearDifferent(stack: StackRun): void {
    const { onDifferent } = this.#set;
    this.#set.onLoss = (task, different, loss) => {
      onDifferent?.(task, different);
      stack.throwUnlessLost(different, loss);
    };
    this.#set.onDifferent = (task, different) => {
      const { loss } = different;
      if (loss !== undefined) {
        this.#set.onLoss?.(task, different, loss);
        return "replace";
      }
      onDifferent?.(task, different);
      this.#different.set(task, different);
      return "leave";
    };
  }

  readonly answerOf: AnswerOf = (task) => this.#answers.get(task);

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
    await this.#set.list(this.#phases.flatMap((tasks) => [...tasks.values()].map(listed)));
    for (const tasks of this.#phases) {
      const { notStarted } = await this.#runPhase(tasks, parallel);
      if (this.#failure !== undefined) throw this.#failure;
      if (notStarted.length > 0) live.signal.throwIfAborted();
    }
  }

  async #runPhase(tasks: Tasks, parallel: number) {
    const stop = AbortSignal.any([this.#set.tx.live.signal, this.#stop.signal]);
    return await runGraph(tasks, {
      parallel,
      stop,
      call: (task) => this.#run(task, stop),
      observer: {
        started: () => {},
        stopping: () => {},
        ended: (name, ending) => {
          if (ending.kind === "failed") this.#fail(tasks.get(name)!, ending.error);
        },
      },
    });
  }

  async #run(task: CheckedTask, signal: AbortSignal): Promise<void> {
    const { name, method, ignoreError } = task;
    const { tx } = this.#set;
    try {
      await this.#set.begin({ name, rpc: nameOf(method) }, signal);
      const of = { name, set: this.#set, signal, place: this.#places?.get(name) };
      const answer = await runAmbient({ transactionId: tx.id, task: of }, () =>
        this.#callAll(task, signal),
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

  /** Calls its RPC, and then those that change in place what it has found. */
  async #callAll(task: CheckedTask, signal: AbortSignal): Promise<Message> {
    const { methods } = this.#known;
    let answer = await methods.call(task.method, this.#requestOf(task), this.#call, signal);
    const different = this.#different.get(task.name);
    if (different === undefined) return answer;
    for (const { method, request } of changesInPlace(this.#known, different)) {
      const changed = await methods.call(method, request, this.#call, signal);
      if (method.output.typeName === task.method.output.typeName) answer = changed;
    }
    return answer;
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
