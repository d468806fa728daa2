import type { Clock } from "../util/clock.ts";
import { defined } from "../util/defined.ts";
import { type ErrorKind, errorChain, kindOf, N0Error } from "../util/errors.ts";
import type { Json } from "../util/json.ts";
import type { Faults } from "./faults.ts";
import { Guards } from "./guards.ts";
import {
  clip,
  type Ended,
  type Journal,
  laterRows,
  nodesOf,
  type StepRow,
  type TransactionHeader,
} from "./journal.ts";
import type { LiveTransaction } from "./live.ts";
import { shuttingDown } from "./outcome.ts";
import type { Rehearse } from "./rehearsal.ts";
import type { AnyStep, Later, RecordStep, Step, StepScope } from "./step.ts";
import type { Turns } from "./turns.ts";

/** The errors of acts whose calls were ended from here. */
const STOPPED_KINDS: ReadonlySet<ErrorKind> = new Set([
  "aborted",
  "canceled",
  "deadline_exceeded",
  "unavailable",
]);

const NO_STEP = { name: "", seq: -1 } as const;

/** The task of a transaction to which a step belongs: see docs/adr/0071. */
export interface OfTask {
  readonly task: string;
  /** Aborts when the acts of this task should stop. */
  readonly signal: AbortSignal;
  /** Keys that the transaction holds from this step on, in addition to those before. */
  readonly guards?: readonly string[];
}

export interface TransactionParts<C, W> {
  readonly live: LiveTransaction;
  readonly context: C;
  readonly generation: number;
  readonly journal: Journal<W>;
  readonly faults: Faults;
  /** Runs work that writes to the journal when the turn of the project has come. */
  readonly turns: Pick<Turns, "run">;
  readonly clock: Clock;
  /** Aborts when the process ends. */
  readonly shutdown: AbortSignal;
  /** Undoes these steps while the transaction goes on. */
  readonly undo: (rows: readonly StepRow[]) => Promise<void>;
  /** Called instead of each act, if the transaction only shows what would happen. */
  readonly rehearse?: Rehearse;
}

/** What a saga works with: it calls `run` for each step, then `commit` once. The engine makes it. */
export class Transaction<C, W> {
  readonly context: C;
  readonly #parts: TransactionParts<C, W>;
  readonly #live: LiveTransaction;
  readonly #guards: Guards;
  #generation: number;
  #stepCount = 0;
  /** The acts that ended since the last step began. */
  #ended: [seq: number, atMs: number][] = [];
  #retriables: readonly StepRow[] = [];
  readonly #inFlight = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor(parts: TransactionParts<C, W>) {
    this.context = parts.context;
    this.#parts = parts;
    this.#live = parts.live;
    this.#guards = new Guards(parts.live);
    this.#generation = parts.generation;
  }

  get id(): string {
    return this.#live.id;
  }

  /** The transaction, as others show and stop it. */
  get live(): LiveTransaction {
    return this.#live;
  }

  get header(): TransactionHeader {
    return this.#live.header;
  }

  /**
   * Aborts when its work should stop, because the client gave up, somebody cancelled it, or the process
   * ends.
   */
  get signal(): AbortSignal {
    return this.#live.signal;
  }

  get generation(): number {
    return this.#generation;
  }

  /** The started steps, the first one first. */
  get rows(): readonly StepRow[] {
    return this.#live.rows;
  }

  /** The steps after the pivot. */
  get retriables(): readonly StepRow[] {
    return this.#retriables;
  }

  /**
   * Runs one step. Its name and input are durable before the act starts, so that an act that fails in the
   * middle, or whose answer is lost, is undone like one that succeeded.
   */
  run<I extends Json, O>(step: Step<C, I, O>, input: I): Promise<O>;
  /** Runs one step whose act also gets a secret, which is never stored. */
  run<I extends Json, O, S>(step: Step<C, I, O, S>, input: I, secret: S): Promise<O>;
  /** Runs one step whose records become durable together with its name and input. */
  run<I extends Json>(step: RecordStep<C, I, W>, input: I): Promise<void>;
  async run<I extends Json, O, S>(
    step: AnyStep<C, I, O, W, S | undefined>,
    input: I,
    secret?: S,
  ): Promise<O | undefined> {
    return await this.runOf(undefined, step, input, secret);
  }

  /** Like `run`, for a step of a task. */
  async runOf<I extends Json, O, S>(
    of: OfTask | undefined,
    step: AnyStep<C, I, O, W, S | undefined>,
    input: I,
    secret?: S,
  ): Promise<O | undefined> {
    if (this.header.isCommitted) throw new Error(`${step.name} runs after the commit`);
    if (this.#isClosed) throw new Error(`${step.name} runs after its transaction has failed`);
    const running = this.#run(of, step, input, secret);
    this.#inFlight.add(running);
    try {
      return await running;
    } finally {
      this.#inFlight.delete(running);
    }
  }

  /**
   * Undoes the steps of one task, the last one first. The others go on. None of the task may run any more.
   *
   * @throws the error of an undo that cannot be done now. Then the whole transaction must fail.
   */
  async undoTask(task: string): Promise<void> {
    await this.#parts.undo(this.rows.filter((row) => row.task === task));
  }

  async #run<I extends Json, O, S>(
    of: OfTask | undefined,
    step: AnyStep<C, I, O, W, S>,
    input: I,
    secret: S,
  ): Promise<O | undefined> {
    const { faults, clock } = this.#parts;
    const live = this.#live;
    this.#throwIfStopped();
    of?.signal.throwIfAborted();
    // Counted before the first wait, because steps that run side by side must not share a row.
    const seq = this.#stepCount++;
    const row: StepRow = {
      seq,
      name: step.name,
      input,
      phase: "started",
      startedAtMs: clock.nowMs(),
      ...(of === undefined ? {} : { task: of.task }),
      ...this.ended,
    };
    this.#ended = [];
    const place = { kind: this.header.kind, step: step.name, seq };

    await faults({ point: "before_journal", ...place });
    live.setRow(row);
    try {
      const beforeAct = async () => await faults({ point: "before_act", ...place });
      const output =
        "act" in step
          ? await this.#act(of, step, input, secret, row, beforeAct)
          : await this.#record(of, step, input, row, beforeAct);
      await faults({ point: "after_act", ...place });
      const endedAtMs = clock.nowMs();
      live.setRow({ ...row, endedAtMs });
      this.#ended.push([seq, endedAtMs]);
      return output;
    } catch (reason) {
      live.setRow({ ...row, endedAtMs: clock.nowMs(), error: clip(this.toldReason(reason)) });
      throw reason;
    }
  }

  async #act<I extends Json, O, S>(
    of: OfTask | undefined,
    step: Step<C, I, O, S>,
    input: I,
    secret: S,
    row: StepRow,
    beforeAct: () => Promise<void>,
  ): Promise<O> {
    const generation = await this.#inTurn(() => this.#started(of, row));
    await beforeAct();
    const { rehearse } = this.#parts;
    // Nobody uses what such an act returns: a recovery would not have it either.
    if (rehearse !== undefined) return rehearse(input) as O;
    return await step.act(this.context, input, this.#scope(of, generation), secret);
  }

  /** Its row becomes durable together with its records, never one without the other. */
  async #record<I extends Json>(
    of: OfTask | undefined,
    step: RecordStep<C, I, W>,
    input: I,
    row: StepRow,
    beforeAct: () => Promise<void>,
  ): Promise<undefined> {
    await beforeAct();
    let isJournaled = false;
    const write = async (writes: W) => {
      const generation = await this.#started(of, row, writes);
      isJournaled = true;
      return generation;
    };
    const scope = this.#scope(of, this.#generation);
    // The turn comes first: what waits for it must not hold anything for which others wait.
    await this.#inTurn(() => step.writeRecords(this.context, input, scope, write));
    // It had nothing to write, but its row still belongs into the journal.
    if (!isJournaled) await this.#started(of, row);
  }

  async #started(of: OfTask | undefined, row: StepRow, writes?: W): Promise<number> {
    const { journal } = this.#parts;
    const generation = await this.#guards.with(of?.guards ?? [], (header) =>
      journal.stepStarted(this.id, row, { ...defined({ writes, header }) }),
    );
    this.#generation = Math.max(this.#generation, generation);
    return generation;
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    return await this.#parts.turns.run(this.header.project ?? "", work);
  }

  #scope(of: OfTask | undefined, generation: number): StepScope {
    return { transactionId: this.id, generation, signal: of?.signal ?? this.signal };
  }

  /** The acts that ended since the last step began. The next write includes them. */
  get ended(): { readonly ended?: Ended } {
    return this.#ended.length === 0 ? {} : { ended: this.#ended };
  }

  /**
   * The pivot: `writes`, `committed` and the retriable steps become durable together. From here on the
   * transaction only goes forward: the engine runs the retriable steps in their order.
   */
  async commit(writes: W, ...retriables: readonly Later[]): Promise<void> {
    const { journal, faults, clock } = this.#parts;
    const live = this.#live;
    const { kind } = live.header;
    if (live.header.isCommitted) throw new Error(`${kind} commits a second time`);
    if (this.#isClosed) throw new Error(`${kind} commits after it has failed`);
    if (this.#inFlight.size > 0) throw new Error(`${kind} commits while its steps still run`);
    const place = { kind, step: NO_STEP.name, seq: NO_STEP.seq };
    const rows = laterRows(retriables, this.#stepCount, clock.nowMs());
    const isAtRest = rows.length === 0;
    const header: TransactionHeader = {
      ...live.header,
      isCommitted: true,
      state: isAtRest ? "done" : "committed",
      ...(isAtRest ? { finishedAtMs: clock.nowMs() } : {}),
      ...nodesOf([...live.rows, ...rows]),
      ...this.ended,
    };

    await faults({ point: "before_commit", ...place });
    // This is the last moment to stop it. A later stop finds it committed, if this write succeeds.
    this.#throwIfStopped();
    this.#generation = await this.#inTurn(() => journal.commit(header, writes, rows));
    this.#retriables = rows;
    for (const row of rows) live.setRow(row);
    live.header = header;
    await faults({ point: "after_commit", ...place });
  }

  /**
   * Refuses any further step or commit, and waits for the running steps. A step that acts while it is
   * undone would leave something behind.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#inFlight);
  }

  /**
   * Why a step or the saga failed, for the history. A call that was stopped from here often ends with an
   * error that blames another, such as a node whose agent did not answer in time.
   */
  toldReason(thrown: unknown): string {
    const isStopped = this.#live.signal.aborted && !this.header.isCommitted;
    const isOfStop = thrown === this.#live.signal.reason || STOPPED_KINDS.has(kindOf(thrown));
    return errorChain(isStopped && isOfStop ? this.#stoppedError() : thrown);
  }

  #throwIfStopped(): void {
    if (this.#live.signal.aborted) throw this.#stoppedError();
  }

  #stoppedError(): N0Error {
    const live = this.#live;
    if (this.#parts.shutdown.aborted) return shuttingDown();
    if (live.cancelled !== undefined) return live.cancelledError();
    return new N0Error("aborted", "the client gave up before it was done", {
      cause: live.signal.reason,
    });
  }
}
