import { type Condition, merge, type Writes } from "../../../../datastore/datastore.ts";
import type { HeldObjects } from "../../../../datastore/held-objects.ts";
import { LockTable } from "../../../../datastore/lock-table.ts";
import { clip, type StepRow } from "../../../../transaction/journal.ts";
import type { AnyStep, Later } from "../../../../transaction/step.ts";
import type { OfTask, Transaction } from "../../../../transaction/transaction.ts";
import { errorChain } from "../../../../util/errors.ts";
import type { Json } from "../../../../util/json.ts";
import { formatRef, type Ref } from "../../../../util/ref.ts";
import type { Api, SagaContext, Tx } from "../../context.ts";
import type { Different, Loss } from "../../resource/differences.ts";
import { settledMarks } from "./marks.ts";
import { beginTask, type ListedTask, listTasks } from "./task-steps.ts";

/** The transaction of all tasks. */
export type WholeTx = Pick<Transaction<SagaContext, Writes>, keyof Tx | "runOf" | "undoTask">;

/**
 * Answers whether the task replaces the object, which only one with a `loss` can be, or does nothing to it.
 *
 * @throws N0Error if the task is refused.
 */
export type OnDifferent = (task: string, different: Different) => "replace" | "leave";

/** What a committed task adds to the commit of the whole. */
export interface Contribution {
  readonly task: string;
  /** The records that it has written. */
  readonly written: readonly string[];
  /** Those that bear the id of the transaction until the whole commits. */
  readonly marked: readonly string[];
  readonly deletes: readonly string[];
  /** They must still hold when an object is deleted. */
  readonly conditions: readonly Condition[];
  readonly laters: readonly Later[];
}

/**
 * The tasks of one transaction, and what they have done so far. See docs/adr/0071.
 *
 * A task writes its records when it commits, so that later tasks read them as usual. They bear the id of the
 * transaction until the whole commits, and nobody else may use them. What a task deletes stays until then, and its
 * steps after the pivot run after the pivot of the whole.
 */
export class TaskSet {
  readonly tx: WholeTx;
  /** Decides about an object that a task is to make, and that is there and different. Default: the task is refused. */
  onDifferent: OnDifferent | undefined;
  /** Whether tasks may restart virtual machines that run, although their requests do not say so. */
  mayRestart = false;
  /** Whether a stack, whose tasks these are, has made the object. @param key of its record. */
  hasMade: (key: string) => boolean = () => false;
  /** Hears of data that a task is about to purge for its object. It throws to stop the task. */
  onLoss: ((task: string, different: Different, loss: Loss) => void) | undefined;
  readonly held: HeldObjects;
  /** The keys with which a task works at the moment: another one that needs them waits. */
  readonly turns = new LockTable();
  /** The keys that the header in the journal does not name yet. */
  readonly #fresh = new Set<string>();
  readonly #contributions: Contribution[] = [];
  readonly #committed = new Set<string>();
  /** The tasks that have begun another step than their first one. */
  readonly #acting = new Set<string>();
  /** The keys of all their deletes, and maybe of some that are no more. */
  readonly #deletes = new Set<string>();
  /** The objects that committed tasks delete, each with its task. */
  readonly #going = new Map<string, string>();
  /** The same of tasks that have not committed. */
  readonly #wanted = new Map<string, string>();
  readonly #waits = new Map<string, (signal: AbortSignal) => Promise<void>>();

  constructor(tx: WholeTx) {
    this.tx = tx;
    this.held = tx.context.held;
  }

  get context(): SagaContext {
    const { api, held } = this.tx.context;
    return { api, held };
  }

  /** Is called with the keys that a task takes, before it relies on their objects. It throws to stop the task. */
  onTaken: (keys: readonly string[]) => Promise<void> = async () => {};

  /** Holds these keys too. The next step of a task writes them into the journal. */
  take(more: HeldObjects): void {
    this.held.join(more);
    for (const key of more.keys) this.#fresh.add(key);
  }

  /** Runs a step of a task. */
  async run<I extends Json, O, S>(
    { task, signal }: Omit<OfTask, "guards">,
    step: AnyStep<SagaContext, I, O, Writes, S | undefined>,
    input: I,
    secret?: S,
  ): Promise<O | undefined> {
    const guards = [...this.#fresh];
    if (step.name !== beginTask.name) this.#acting.add(task);
    const output = await this.tx.runOf({ task, signal, guards }, step, input, secret);
    for (const key of guards) this.#fresh.delete(key);
    return output;
  }

  /** Writes which tasks there are, for everybody who looks at the transaction. */
  async list(tasks: readonly ListedTask[]): Promise<void> {
    await this.tx.run(listTasks, { tasks });
  }

  async begin({ name, rpc }: Pick<ListedTask, "name" | "rpc">, signal: AbortSignal): Promise<void> {
    await this.run({ task: name, signal }, beginTask, { name, rpc });
  }

  hasActed(task: string): boolean {
    return this.#acting.has(task);
  }

  hasCommitted(task: string): boolean {
    return this.#committed.has(task);
  }

  /** Says why the task failed, for everybody who looks at the transaction. */
  fail(task: string, reason: unknown): void {
    const row = this.tx.rows.find((one) => one.task === task && one.name === beginTask.name);
    if (row !== undefined) this.tx.live.setRow({ ...row, error: clip(errorChain(reason)) });
  }

  /** The step at which the task failed; undefined if it failed between its steps. */
  failedStep(task: string): string | undefined {
    const isFailed = (row: StepRow) => row.error !== undefined && row.name !== beginTask.name;
    return this.tx.rows.findLast((row) => row.task === task && isFailed(row))?.name;
  }

  add(contribution: Contribution): void {
    this.#keep(contribution.written.filter((key) => this.#deletes.has(key)));
    this.#contributions.push(contribution);
    this.#committed.add(contribution.task);
    for (const key of contribution.deletes) this.#deletes.add(key);
    for (const [ref, task] of this.#wanted) {
      if (task !== contribution.task) continue;
      this.#going.set(ref, task);
      this.#wanted.delete(ref);
    }
  }

  /** What a later task writes again stays. */
  #keep(rewritten: readonly string[]): void {
    if (rewritten.length === 0) return;
    for (const [i, one] of this.#contributions.entries()) {
      const deletes = one.deletes.filter((key) => !rewritten.includes(key));
      if (deletes.length < one.deletes.length) this.#contributions[i] = { ...one, deletes };
    }
  }

  /** Counts once the task has committed. */
  willDelete(ref: Ref, task: string): void {
    this.#wanted.set(formatRef(ref), task);
  }

  /** The task that deletes the object when the whole commits. */
  deleterOf(ref: Ref): string | undefined {
    return this.#going.get(formatRef(ref));
  }

  /** Whether a committed task deletes the record when the whole commits. */
  deletes(key: string): boolean {
    if (!this.#deletes.has(key)) return false;
    return this.#contributions.some(({ deletes }) => deletes.includes(key));
  }

  /** Undoes everything that the task has done. @throws the error of an undo that cannot be done now. */
  async undo(task: string): Promise<void> {
    await this.tx.undoTask(task);
    const kept = this.#contributions.filter((one) => one.task !== task);
    this.#contributions.splice(0, Infinity, ...kept);
    this.#committed.delete(task);
    this.#acting.delete(task);
    for (const map of [this.#going, this.#wanted]) {
      for (const [ref, deleter] of map) if (deleter === task) map.delete(ref);
    }
  }

  /**
   * Waits for something before the whole answers, and not at the end of the task. Nothing fails by it.
   *
   * @param what tells it from others. It is waited for once.
   */
  waitAtEnd(what: string, wait: (signal: AbortSignal) => Promise<void>): void {
    this.#waits.set(what, wait);
  }

  /** Resolves when all of that is over. */
  async waited(signal: AbortSignal): Promise<void> {
    await Promise.all([...this.#waits.values()].map((wait) => wait(signal)));
  }

  /** The writes of the commit of the whole, and the steps after it in the order of the tasks. */
  async commitParts(api: Api): Promise<(Writes | Later)[]> {
    const all = this.#contributions;
    const marked = new Set(all.flatMap((one) => one.marked));
    const deletes = new Set(all.flatMap((one) => one.deletes));
    const kept = [...marked].filter((key) => !deletes.has(key));
    const settled = await settledMarks(api, this.tx.id, kept);
    const conditions = all.flatMap((one) => one.conditions);
    const writes = merge(settled, { deletes: [...deletes], conditions });
    return [writes, ...all.flatMap((one) => one.laters)];
  }
}
