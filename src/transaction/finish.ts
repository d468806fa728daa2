import type { Clock } from "../util/clock.ts";
import { defined } from "../util/defined.ts";
import { errorChain, kindOf } from "../util/errors.ts";
import type { Random } from "../util/random.ts";
import type { FaultPoint, Faults } from "./faults.ts";
import {
  type Besides,
  clip,
  type Journal,
  nodesOf,
  type StepRow,
  type TransactionHeader,
  type Tried,
} from "./journal.ts";
import type { LiveTransaction } from "./live.ts";
import { GaveUpError, persist } from "./persist.ts";
import type { StepRegistry } from "./registry.ts";
import type { StepScope } from "./step.ts";

/** What is needed to bring a transaction to rest, back or forward. */
export interface FinishParts<C, W> {
  readonly journal: Journal<W>;
  readonly registry: StepRegistry<C, W>;
  readonly faults: Faults;
  readonly clock: Clock;
  readonly random: Random;
  readonly shutdown: AbortSignal;
  /** The minimum time for which an undo, or a step after the pivot, fails before it needs an operator. */
  readonly giveUpAfterMs: number;
  /** Called at each change of a header, for watches and for logs. Must not throw. */
  readonly onChange: (header: TransactionHeader) => void;
}

/**
 * Undoes every started step, the last one first, and ends at `unwound`. If an undo fails for good, ends at
 * `needs_operator`. The earlier steps then stay, because they can depend on it: to release an address while
 * its tap still exists would give the address to another object. `alongside` is written with the state at
 * rest.
 */
export async function unwind<C, W>(
  parts: FinishParts<C, W>,
  context: C,
  live: LiveTransaction,
  started: TransactionHeader,
  reason: string,
  alongside?: W,
): Promise<TransactionHeader> {
  const { journal, registry, faults } = parts;
  const { reason: _, hinderedBySeq: __, ...rest } = started;
  const header: TransactionHeader = {
    ...rest,
    ...nodesOf(live.rows),
    state: "unwinding",
    error: clip(reason),
  };
  const mover = new Mover(parts, live, header);
  await mover.write("before_unwind");

  for (const row of live.rows.toReversed()) {
    if (row.phase === "undone") continue;
    const place = { kind: started.kind, step: row.name, seq: row.seq };
    const done = await mover.attempt({
      row,
      before: row.undo,
      show: (undo) => ({ ...row, undo }),
      async act(scope) {
        await faults({ point: "before_undo", ...place });
        await registry.step(row.name).undo(context, row.input, scope);
        await faults({ point: "after_undo", ...place });
      },
      async write(undo) {
        const undone: StepRow = { ...row, phase: "undone", undo };
        await journal.stepUndone(started.id, undone);
        return undone;
      },
    });
    if (!done) return mover.header;
  }
  return await mover.rest("unwound", alongside);
}

/**
 * Undoes some steps of a running transaction, the last one first. Tries each undo for as long as the transaction
 * is not stopped.
 *
 * @throws the reason for which it stopped, or the last error of an undo that fails for good. The transaction
 *   must fail then: its unwind tries again.
 */
export async function undoSome<C, W>(
  parts: FinishParts<C, W>,
  context: C,
  live: LiveTransaction,
  rows: readonly StepRow[],
): Promise<void> {
  const { journal, registry, faults, clock } = parts;
  const left = rows.filter(({ phase }) => phase === "started").toReversed();
  // An agent refuses an undo that is not newer than the act.
  const generation = left.length === 0 ? 0 : await journal.update(live.header);
  const scope = { transactionId: live.id, generation, signal: parts.shutdown };
  for (const row of left) {
    const place = { kind: live.header.kind, step: row.name, seq: row.seq };
    let undo: Tried = { startedAtMs: clock.nowMs(), tries: 0 };
    const work = async () => {
      undo = { ...undo, tries: undo.tries + 1 };
      live.setRow({ ...row, undo });
      await faults({ point: "before_undo", ...place });
      await registry.step(row.name).undo(context, row.input, scope);
      await faults({ point: "after_undo", ...place });
      const undone: StepRow = {
        ...row,
        phase: "undone",
        undo: { ...undo, endedAtMs: clock.nowMs() },
      };
      await journal.stepUndone(live.id, undone);
      live.setRow(undone);
    };
    const onFailure = (reason: unknown) => {
      undo = { ...undo, error: clip(errorChain(reason)) };
      live.setRow({ ...row, undo });
    };
    const { random, giveUpAfterMs } = parts;
    const signal = AbortSignal.any([parts.shutdown, live.signal]);
    try {
      await persist(work, { clock, random, signal, giveUpAfterMs, onFailure });
    } catch (reason) {
      throw reason instanceof GaveUpError ? reason.cause : reason;
    }
  }
}

/** Runs the steps after the pivot, in order, and ends at `done`. */
export async function goForward<C, W>(
  parts: FinishParts<C, W>,
  context: C,
  live: LiveTransaction,
): Promise<TransactionHeader> {
  const { journal, registry, faults } = parts;
  const { error: _, reason: __, hinderedBySeq: ___, ...header } = live.header;
  const mover = new Mover(parts, live, { ...header, state: "committed" });
  await mover.write();
  for (const row of live.rows) {
    if (row.phase !== "pending") continue;
    const place = { kind: live.header.kind, step: row.name, seq: row.seq };
    const done = await mover.attempt({
      row,
      before: row.tries === undefined ? undefined : { ...row, tries: row.tries },
      show: (tried) => ({ ...row, ...tried }),
      async act(scope) {
        await faults({ point: "before_retriable", ...place });
        await registry.retriable(row.name).act(context, row.input, scope);
        await faults({ point: "after_retriable", ...place });
      },
      async write(tried) {
        const finished: StepRow = { ...row, ...tried, phase: "done" };
        await journal.retriableDone(live.id, finished);
        return finished;
      },
    });
    if (!done) return mover.header;
  }
  return await mover.rest("done");
}

/**
 * Reads the steps of a transaction of an earlier process. If they cannot be read (damaged, or written by a
 * newer version), this transaction needs an operator, and the others go on.
 *
 * @returns the new header if the transaction needs an operator, else undefined.
 */
export async function readSteps<C, W>(
  parts: FinishParts<C, W>,
  live: LiveTransaction,
): Promise<TransactionHeader | undefined> {
  const { journal, clock, random, shutdown, giveUpAfterMs } = parts;
  const read = async () => {
    for (const row of await journal.listSteps(live.id)) live.setRow(row);
  };
  try {
    await persist(read, { clock, random, signal: shutdown, giveUpAfterMs });
    return undefined;
  } catch (reason) {
    if (!(reason instanceof GaveUpError)) throw reason;
    return await giveUp(parts, live, `its steps cannot be read: ${errorChain(reason.cause)}`);
  }
}

/** Leaves a transaction to an operator. */
export async function giveUp<C, W>(
  parts: FinishParts<C, W>,
  live: LiveTransaction,
  error: string,
): Promise<TransactionHeader> {
  const { header: before } = live;
  const reason = before.reason ?? before.error;
  const header: TransactionHeader = {
    ...before,
    state: "needs_operator",
    error: clip(error),
    ...defined({ reason }),
  };
  const mover = new Mover(parts, live, header);
  await mover.write();
  return mover.header;
}

/**
 * Work that a Mover repeats until it succeeds: the undo of a step, or the act of a step after the pivot.
 */
interface Move {
  readonly row: StepRow;
  /** The tries so far, of a process that ended or gave up. */
  readonly before: Pick<Tried, "startedAtMs" | "tries"> | undefined;
  /** The journal row while the work is tried. */
  show(tried: Tried): StepRow;
  act(scope: StepScope): Promise<void>;
  /** Writes that the work is done, and returns the new row. */
  write(tried: Tried): Promise<StepRow>;
}

/** Holds the header of a transaction on its way to rest, and writes its changes. */
class Mover<C, W> {
  header: TransactionHeader;
  /** The first reason of the unwind. A failing undo does not replace it. */
  readonly #reason: string | undefined;
  readonly #parts: FinishParts<C, W>;
  readonly #live: LiveTransaction;
  #generation = 0;

  constructor(parts: FinishParts<C, W>, live: LiveTransaction, header: TransactionHeader) {
    this.#parts = parts;
    this.#live = live;
    this.header = header;
    this.#reason = header.reason ?? header.error;
  }

  /** Writes the header, and retries for ever: nothing may go on without it. */
  async write(point?: FaultPoint, besides?: Besides<W>): Promise<void> {
    const { journal, faults, onChange } = this.#parts;
    const work = async () => {
      if (point !== undefined) await faults({ point, kind: this.header.kind, step: "", seq: -1 });
      this.#generation = await journal.update(this.header, besides);
    };
    await persist(work, { ...this.#persistence(), hardFailuresMax: Number.POSITIVE_INFINITY });
    this.#live.header = this.header;
    onChange(this.header);
  }

  /** @returns false if the transaction now needs an operator. */
  async attempt(move: Move): Promise<boolean> {
    const { clock } = this.#parts;
    const { before, row } = move;
    let notedTries = before?.tries ?? 0;
    let tried: Tried = { startedAtMs: before?.startedAtMs ?? clock.nowMs(), tries: notedTries };
    const work = async () => {
      tried = { ...tried, tries: tried.tries + 1 };
      this.#live.setRow(move.show(tried));
      await move.act(this.#scope());
      this.#live.setRow(await move.write({ ...tried, endedAtMs: clock.nowMs() }));
    };
    try {
      await persist(work, {
        ...this.#persistence(),
        sleep: (ms) => this.#live.nap(clock, row.seq, ms, this.#parts.shutdown),
        onFailure: async (reason) => {
          tried = { ...tried, error: clip(errorChain(reason)) };
          this.#live.setRow(move.show(tried));
          const header = this.#hindered(row, reason);
          // This process knows each failure. The journal gets new errors, and less and less often the
          // number of tries. If an agent refuses the generation as too old, the write also gives a newer
          // one.
          const isNew = header.error !== this.header.error || kindOf(reason) === "aborted";
          if (!isNew && tried.tries < 2 * notedTries) return;
          notedTries = tried.tries;
          this.header = header;
          await this.write(undefined, { rows: [move.show(tried)] });
        },
      });
      this.#clearFailure();
      return true;
    } catch (reason) {
      if (!(reason instanceof GaveUpError)) throw reason;
      this.header = { ...this.#hindered(row, reason.cause), state: "needs_operator" };
      await this.write(undefined, { rows: [move.show(tried)] });
      return false;
    }
  }

  async rest(state: "unwound" | "done", alongside?: W): Promise<TransactionHeader> {
    const { clock } = this.#parts;
    this.header = { ...this.header, state, finishedAtMs: clock.nowMs() };
    await this.write("before_rest", defined({ writes: alongside }));
    return this.header;
  }

  #hindered({ name, seq }: StepRow, reason: unknown): TransactionHeader {
    return {
      ...this.header,
      error: clip(`${name}: ${errorChain(reason)}`),
      ...defined({ reason: this.#reason }),
      hinderedBySeq: seq,
    };
  }

  #scope(): StepScope {
    return {
      transactionId: this.header.id,
      generation: this.#generation,
      signal: this.#parts.shutdown,
    };
  }

  #clearFailure(): void {
    const { error: _, reason: __, hinderedBySeq: ___, ...header } = this.header;
    this.header = this.#reason === undefined ? header : { ...header, error: this.#reason };
  }

  #persistence() {
    const { clock, random, shutdown, giveUpAfterMs } = this.#parts;
    return { clock, random, signal: shutdown, giveUpAfterMs };
  }
}
