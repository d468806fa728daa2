import type { Clock } from "../util/clock.ts";
import { errorChain, kindOf } from "../util/errors.ts";
import type { Random } from "../util/random.ts";
import type { FaultPoint, Faults } from "./faults.ts";
import type { Journal, StepRow, TransactionHeader } from "./journal.ts";
import { GaveUpError, persist } from "./persist.ts";
import type { StepRegistry } from "./registry.ts";
import type { StepScope } from "./step.ts";

/** What is needed to bring a transaction to rest, in either direction. */
export interface FinishParts<C, W> {
  readonly journal: Journal<W>;
  readonly registry: StepRegistry<C>;
  readonly faults: Faults;
  readonly clock: Clock;
  readonly random: Random;
  readonly shutdown: AbortSignal;
  /** How long an undo or a step after the pivot may fail at least before it needs an operator. */
  readonly giveUpAfterMs: number;
  /** Called at each change of a header, for watching and for logs. Must not throw. */
  readonly onChange: (header: TransactionHeader) => void;
}

const ERROR_LENGTH_MAX = 2_000;

/**
 * Undoes every started step, the last one first, and rests at `unwound`. An undo that cannot be done
 * ends at `needs_operator`: the steps below it rest on it (releasing an address whose tap still stands
 * would hand it to somebody else), so they stay. `alongside` is written with the state at rest.
 */
export async function unwind<C, W>(
  parts: FinishParts<C, W>,
  context: C,
  started: TransactionHeader,
  rows: readonly StepRow[],
  reason: string,
  alongside?: W,
): Promise<TransactionHeader> {
  const { journal, registry, faults } = parts;
  const mover = new Mover(parts, { ...started, state: "unwinding", error: clip(reason) });
  await mover.write("before_unwind");

  for (const row of rows.toReversed()) {
    if (row.phase === "undone") continue;
    const place = { kind: started.kind, step: row.name, seq: row.seq };
    const done = await mover.attempt(row, async (scope) => {
      await faults({ point: "before_undo", ...place });
      await registry.step(row.name).undo(context, row.input, scope);
      await faults({ point: "after_undo", ...place });
      await journal.stepUndone(started.id, { ...row, phase: "undone" });
    });
    if (!done) return mover.header;
  }
  return await mover.rest("unwound", alongside);
}

/** Finishes what the pivot left to be done, in order, and rests at `done`. */
export async function goForward<C, W>(
  parts: FinishParts<C, W>,
  context: C,
  committed: TransactionHeader,
  rows: readonly StepRow[],
): Promise<TransactionHeader> {
  const { journal, registry, faults } = parts;
  const mover = new Mover(parts, { ...committed, state: "committed" });
  await mover.write();
  for (const row of rows) {
    if (row.phase !== "pending") continue;
    const place = { kind: committed.kind, step: row.name, seq: row.seq };
    const done = await mover.attempt(row, async (scope) => {
      await faults({ point: "before_retriable", ...place });
      await registry.retriable(row.name).act(context, row.input, scope);
      await faults({ point: "after_retriable", ...place });
      await journal.retriableDone(committed.id, { ...row, phase: "done" });
    });
    if (!done) return mover.header;
  }
  return await mover.rest("done");
}

/**
 * Reads the steps of a transaction of an earlier process. Those of one that cannot be read (written by
 * a newer version, damaged) are no reason to stop the others: it needs an operator.
 *
 * @returns the header as it is then where that happened.
 */
export async function readSteps<C, W>(
  parts: FinishParts<C, W>,
  header: TransactionHeader,
): Promise<readonly StepRow[] | TransactionHeader> {
  const { journal, clock, random, shutdown, giveUpAfterMs } = parts;
  let rows: readonly StepRow[] = [];
  const read = async () => {
    rows = await journal.listSteps(header.id);
  };
  try {
    await persist(read, { clock, random, signal: shutdown, giveUpAfterMs });
    return rows;
  } catch (reason) {
    if (!(reason instanceof GaveUpError)) throw reason;
    return await giveUp(parts, header, `its steps cannot be read: ${errorChain(reason.cause)}`);
  }
}

/** Leaves a transaction to an operator. */
export async function giveUp<C, W>(
  parts: FinishParts<C, W>,
  header: TransactionHeader,
  error: string,
): Promise<TransactionHeader> {
  const mover = new Mover(parts, { ...header, state: "needs_operator", error: clip(error) });
  await mover.write();
  return mover.header;
}

/** Keeps the header of a transaction that is being brought to rest, and writes its changes. */
class Mover<C, W> {
  header: TransactionHeader;
  /** Why it is being moved, as first told: an undo that fails for a while does not hide it. */
  readonly #reason: string | undefined;
  readonly #parts: FinishParts<C, W>;
  #generation = 0;

  constructor(parts: FinishParts<C, W>, header: TransactionHeader) {
    this.#parts = parts;
    this.header = header;
    this.#reason = header.error;
  }

  /** Writes the header, for ever if need be: without it nothing may go on. */
  async write(point?: FaultPoint, alongside?: W): Promise<void> {
    const { journal, faults, onChange } = this.#parts;
    const work = async () => {
      if (point !== undefined) await faults({ point, kind: this.header.kind, step: "", seq: -1 });
      this.#generation = await journal.update(this.header, alongside);
    };
    await persist(work, { ...this.#persistence(), hardFailuresMax: Number.POSITIVE_INFINITY });
    onChange(this.header);
  }

  /** @returns false when the transaction now needs an operator. */
  async attempt(row: StepRow, work: (scope: StepScope) => Promise<void>): Promise<boolean> {
    try {
      await persist(() => work(this.#scope()), {
        ...this.#persistence(),
        onFailure: async (reason) => {
          const text = clip(`${row.name}: ${errorChain(reason)}`);
          // What is refused as too old needs a newer generation, which writing the header gives.
          if (text === this.header.error && kindOf(reason) !== "aborted") return;
          this.header = { ...this.header, error: text };
          await this.write();
        },
      });
      this.#clearFailure();
      return true;
    } catch (reason) {
      if (!(reason instanceof GaveUpError)) throw reason;
      const error = clip(`${row.name}: ${errorChain(reason.cause)}`);
      this.header = { ...this.header, state: "needs_operator", error };
      await this.write();
      return false;
    }
  }

  async rest(state: "unwound" | "done", alongside?: W): Promise<TransactionHeader> {
    const { clock } = this.#parts;
    this.header = { ...this.header, state, finishedAtMs: clock.nowMs() };
    await this.write("before_rest", alongside);
    return this.header;
  }

  #scope(): StepScope {
    return {
      transactionId: this.header.id,
      generation: this.#generation,
      signal: this.#parts.shutdown,
    };
  }

  #clearFailure(): void {
    const { error: _, ...header } = this.header;
    this.header = this.#reason === undefined ? header : { ...header, error: this.#reason };
  }

  #persistence() {
    const { clock, random, shutdown, giveUpAfterMs } = this.#parts;
    return { clock, random, signal: shutdown, giveUpAfterMs };
  }
}

function clip(text: string): string {
  return text.slice(0, ERROR_LENGTH_MAX);
}
