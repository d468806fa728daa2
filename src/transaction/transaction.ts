import type { Clock } from "../util/clock.ts";
import { N0Error } from "../util/errors.ts";
import type { Json } from "../util/json.ts";
import type { Faults } from "./faults.ts";
import { type Journal, laterRows, type StepRow, type TransactionHeader } from "./journal.ts";
import type { Later, Step } from "./step.ts";

const NO_STEP = { name: "", seq: -1 } as const;

export interface TransactionParts<C, W> {
  readonly header: TransactionHeader;
  readonly context: C;
  readonly generation: number;
  readonly journal: Journal<W>;
  readonly faults: Faults;
  readonly clock: Clock;
  /** Aborts with the process. */
  readonly shutdown: AbortSignal;
  /** Aborts when the client gave up. Has no effect after the pivot. */
  readonly cancel: AbortSignal;
}

/** What a saga works with: `run` its steps one by one, then `commit` once. Made by the engine. */
export class Transaction<C, W> {
  readonly context: C;
  readonly #parts: TransactionParts<C, W>;
  /** Aborts with the process, or when the client gave up. */
  readonly #signal: AbortSignal;
  #header: TransactionHeader;
  #generation: number;
  #rows: StepRow[] = [];
  #stepCount = 0;
  #retriables: readonly StepRow[] = [];
  readonly #inFlight = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor(parts: TransactionParts<C, W>) {
    this.context = parts.context;
    this.#parts = parts;
    this.#signal = AbortSignal.any([parts.shutdown, parts.cancel]);
    this.#header = parts.header;
    this.#generation = parts.generation;
  }

  get id(): string {
    return this.#header.id;
  }

  get header(): TransactionHeader {
    return this.#header;
  }

  get generation(): number {
    return this.#generation;
  }

  /** Started steps, first one first. */
  get rows(): readonly StepRow[] {
    return this.#rows.toSorted((a, b) => a.seq - b.seq);
  }

  /** What is to be finished after the pivot. */
  get retriables(): readonly StepRow[] {
    return this.#retriables;
  }

  /**
   * Runs one step. Its name and input are durable, and with them its undo, before the action starts, so
   * that an action that fails half-way, or whose answer is lost, is undone like one that succeeded.
   */
  async run<I extends Json, O>(step: Step<C, I, O>, input: I): Promise<O> {
    if (this.#header.isCommitted) throw new Error(`${step.name} runs after the commit`);
    if (this.#isClosed) throw new Error(`${step.name} runs after its transaction has failed`);
    const running = this.#run(step, input);
    this.#inFlight.add(running);
    try {
      return await running;
    } finally {
      this.#inFlight.delete(running);
    }
  }

  async #run<I extends Json, O>(step: Step<C, I, O>, input: I): Promise<O> {
    const { journal, faults, clock } = this.#parts;
    this.#throwIfCancelled();
    // Counted at once: steps that are fanned out must not share a row.
    const seq = this.#stepCount++;
    const row: StepRow = {
      seq,
      name: step.name,
      input,
      phase: "started",
      startedAtMs: clock.nowMs(),
    };
    const place = { kind: this.#header.kind, step: step.name, seq };

    await faults({ point: "before_journal", ...place });
    this.#rows.push(row);
    const generation = await journal.stepStarted(this.id, row);
    this.#generation = Math.max(this.#generation, generation);

    await faults({ point: "before_act", ...place });
    const scope = { transactionId: this.id, generation, signal: this.#signal };
    const output = await step.act(this.context, input, scope);
    await faults({ point: "after_act", ...place });
    return output;
  }

  /**
   * The pivot: `writes`, `committed` and the retriable steps become durable together. From here the
   * transaction only goes forward; the engine finishes the retriable steps in their order.
   */
  async commit(writes: W, ...retriables: readonly Later[]): Promise<void> {
    const { journal, faults, clock } = this.#parts;
    const { kind } = this.#header;
    if (this.#header.isCommitted) throw new Error(`${kind} commits a second time`);
    if (this.#isClosed) throw new Error(`${kind} commits after it has failed`);
    if (this.#inFlight.size > 0) throw new Error(`${kind} commits while its steps still run`);
    this.#throwIfCancelled();
    const place = { kind, step: NO_STEP.name, seq: NO_STEP.seq };
    const rows = laterRows(retriables, this.#stepCount, clock.nowMs());
    const isAtRest = rows.length === 0;
    const header: TransactionHeader = {
      ...this.#header,
      isCommitted: true,
      state: isAtRest ? "done" : "committed",
      ...(isAtRest ? { finishedAtMs: clock.nowMs() } : {}),
    };

    await faults({ point: "before_commit", ...place });
    this.#generation = await journal.commit(header, writes, rows);
    this.#header = header;
    this.#retriables = rows;
    await faults({ point: "after_commit", ...place });
  }

  /**
   * Refuses any further step and commit, and waits for the steps that still run: a step that acts while
   * it is undone would leave something behind.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#inFlight);
  }

  #throwIfCancelled(): void {
    const { cancel, shutdown } = this.#parts;
    if (shutdown.aborted) {
      throw new N0Error("unavailable", "the API is shutting down: try again", {
        retryAfterMs: 1_000,
      });
    }
    if (cancel.aborted) {
      throw new N0Error("aborted", "the client gave up before it was done", {
        cause: cancel.reason,
      });
    }
  }
}
