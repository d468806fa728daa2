import { errorChain, N0Error, withFacts } from "../util/errors.ts";
import { Admission } from "./admission.ts";
import { SimulatedCrash } from "./faults.ts";
import { type FinishParts, giveUp, goForward, readSteps, unwind } from "./finish.ts";
import type { TransactionHeader } from "./journal.ts";
import { Transaction } from "./transaction.ts";

/** How long a client whose request failed is kept waiting for the unwind; it goes on after that. */
const UNWIND_PATIENCE_MS = 10_000;

export interface EngineOptions<C, W> extends FinishParts<C, W> {
  /** More that clients wait for than this, and a new one is refused before anything is written. */
  readonly openMax: number;
}

/** What is written in the batches in which a transaction begins and comes to rest. */
export interface Alongside<W> {
  begun(transactionId: string): W;
  /** With the state `unwound`, in the process that ran it; `reason` is what it failed for. */
  unwound(transactionId: string, reason: unknown): W | undefined;
}

export interface RunOptions<C, W> {
  /** The RPC, such as `CreateVirtualMachine`. */
  readonly kind: string;
  /** Keys that the transaction holds while it is open; recovery takes them again. */
  readonly guards: readonly string[];
  readonly context: C;
  /** Aborts when the client gave up. */
  readonly cancel: AbortSignal;
  /** Called once, when the transaction rests or needs an operator. */
  readonly onRest: () => void;
  /** The caller holds a place from `admit`, or it runs within another transaction that has one. */
  readonly isAdmitted?: boolean;
  readonly alongside?: Alongside<W>;
}

type State = TransactionHeader["state"];

/** What a caller must hand in to take over a transaction of a process that died. */
export interface TakenOver<C> {
  readonly context: C;
  readonly onRest: () => void;
}

/** Runs sagas, and brings to rest whatever any of them began. */
export class TransactionEngine<C, W> {
  readonly #options: EngineOptions<C, W>;
  /** Ends of the transactions that are not at rest. None rejects. */
  readonly #open = new Set<Promise<unknown>>();
  /** The same, of those that have begun, by their ids. */
  readonly #ends = new Map<string, Promise<unknown>>();
  /** Of those that a client waits for: what goes on in the background is in nobody's way. */
  readonly #admission: Admission;

  constructor(options: EngineOptions<C, W>) {
    this.#options = options;
    this.#admission = new Admission(options.openMax, options.clock);
  }

  /** Transactions that this process runs or brings to rest. Those that need an operator are not among them. */
  get openCount(): number {
    return this.#open.size;
  }

  /**
   * A place for a transaction that will run, until it is disposed of. Asked for before anything else is
   * taken, such as locks that others wait for.
   *
   * @throws N0Error `resource_exhausted` with a delay when too many are open.
   */
  admit(): Disposable {
    return this.#admission.admit();
  }

  /**
   * Resolves when the transaction is at rest, needs an operator or is left to the next process; undefined
   * where this process does not bring it to rest.
   */
  restOf(transactionId: string): Promise<unknown> | undefined {
    return this.#ends.get(transactionId);
  }

  /**
   * Runs `saga` as one transaction: it happens whole, or everything it did is undone.
   *
   * @throws whatever the saga threw, with the transaction's id and how far the rollback is;
   *   `resource_exhausted` when too many are open; `deadline_exceeded` when the client gave up while
   *   what is committed was still being finished.
   */
  async run<T>(options: RunOptions<C, W>, saga: (tx: Transaction<C, W>) => Promise<T>): Promise<T> {
    using _place = options.isAdmitted === true ? undefined : this.#admit(options);
    const end = Promise.withResolvers<unknown>();
    const tracked = this.#track(end.promise);
    try {
      const tx = await this.#begin(options);
      this.#keepEnd(tx.id, tracked);
      return await this.#run(tx, options, saga, end.resolve);
    } finally {
      end.resolve(undefined);
    }
  }

  async #run<T>(
    tx: Transaction<C, W>,
    options: RunOptions<C, W>,
    saga: (tx: Transaction<C, W>) => Promise<T>,
    endWith: (rest: Promise<unknown>) => void,
  ): Promise<T> {
    const { faults } = this.#options;
    let result: T;
    try {
      await faults({ point: "after_begin", kind: options.kind, step: "", seq: -1 });
      result = await saga(tx);
      if (!tx.header.isCommitted) throw new Error(`${options.kind} ended without a commit`);
    } catch (reason) {
      const closed = tx.close();
      if (reason instanceof SimulatedCrash) throw reason;
      await closed;
      const rest = this.#bringToRest(tx.header, options, () =>
        tx.header.isCommitted
          ? goForward(this.#options, options.context, tx.header, tx.retriables)
          : unwind(
              this.#options,
              options.context,
              tx.header,
              tx.rows,
              errorChain(reason),
              options.alongside?.unwound(tx.id, reason),
            ),
      );
      endWith(rest);
      throw await this.#failure(tx, rest, reason);
    }
    const rest = this.#bringToRest(tx.header, options, () =>
      goForward(this.#options, options.context, tx.header, tx.retriables),
    );
    endWith(rest);
    await this.#waitFor(rest, tx, options.cancel);
    return result;
  }

  /**
   * Takes over every open transaction of an earlier process: back before the pivot, forward after it.
   * Resolves when all are taken over, so that the API may listen; they come to rest in the background,
   * each by itself. One that `takeOver` refuses needs an operator; those that needed one before are
   * tried once more, after the others, since what was in their way may have been repaired.
   *
   * @returns how many were taken over.
   */
  async recover(takeOver: (header: TransactionHeader) => Promise<TakenOver<C>>): Promise<number> {
    const headers = await this.#options.journal.listOpen();
    const isStuck = ({ state }: TransactionHeader) => Number(state === "needs_operator");
    const open = headers.toSorted((a, b) => isStuck(a) - isStuck(b));
    for (const header of open) {
      try {
        const taken = await takeOver(header);
        const rest = this.#bringToRest(header, taken, () => this.#resume(header, taken.context));
        this.#keepEnd(header.id, this.#track(rest));
      } catch (reason) {
        const error = `it cannot be taken over: ${errorChain(reason)}`;
        const nobody = { onRest: () => {} };
        void this.#track(
          this.#bringToRest(header, nobody, () => giveUp(this.#options, header, error)),
        );
      }
    }
    return open.length;
  }

  async #resume(header: TransactionHeader, context: C): Promise<TransactionHeader> {
    const rows = await readSteps(this.#options, header);
    if ("state" in rows) return rows;
    if (header.isCommitted) return await goForward(this.#options, context, header, rows);
    const reason = header.error ?? "the process ended while it was running";
    return await unwind(this.#options, context, header, rows, reason);
  }

  /** Resolves when this process has none open any more: after shutdown some are left to the next one. */
  async settled(): Promise<void> {
    while (this.#open.size > 0) await Promise.all(this.#open);
  }

  #admit({ onRest }: RunOptions<C, W>): Disposable {
    try {
      return this.admit();
    } catch (reason) {
      onRest();
      throw reason;
    }
  }

  async #begin(options: RunOptions<C, W>): Promise<Transaction<C, W>> {
    const { journal, faults, clock, random, shutdown } = this.#options;
    const nowMs = clock.nowMs();
    const header: TransactionHeader = {
      id: `${nowMs.toString(16).padStart(12, "0")}-${random.uuid().slice(0, 13)}`,
      kind: options.kind,
      guards: options.guards,
      startedAtMs: nowMs,
      state: "running",
      isCommitted: false,
    };
    try {
      await faults({ point: "before_begin", kind: header.kind, step: "", seq: -1 });
      const generation = await journal.begin(header, options.alongside?.begun(header.id));
      const { context, cancel } = options;
      const parts = { header, context, generation, journal, faults, clock, shutdown, cancel };
      return new Transaction(parts);
    } catch (reason) {
      if (!(reason instanceof SimulatedCrash)) options.onRest();
      throw reason;
    }
  }

  /** Waits a while for the unwind, and answers the error for the client. */
  async #failure(
    tx: Transaction<C, W>,
    rest: Promise<State | undefined>,
    reason: unknown,
  ): Promise<N0Error> {
    const { clock } = this.#options;
    const patience = new AbortController();
    const late = clock.sleep(UNWIND_PATIENCE_MS, patience.signal).catch(() => undefined);
    const state = await Promise.race([rest, late]).finally(() => patience.abort());
    if (tx.header.isCommitted) return withFacts(reason, { transactionId: tx.id });
    const rollback =
      state === "unwound" ? "done" : state === "needs_operator" ? "needs_operator" : "going_on";
    return withFacts(reason, { transactionId: tx.id, rollback });
  }

  /** Waits for the steps after the pivot, as long as the client does. */
  async #waitFor(
    rest: Promise<State | undefined>,
    tx: Transaction<C, W>,
    cancel: AbortSignal,
  ): Promise<void> {
    const state = await firstOf(rest, cancel);
    if (state === "done") return;
    const kind = state === "needs_operator" ? "internal" : "deadline_exceeded";
    const message =
      state === "needs_operator"
        ? `${tx.header.kind} is committed, but finishing it failed: transaction ${tx.id} needs an operator`
        : `${tx.header.kind} is committed and still being finished: transaction ${tx.id}`;
    throw new N0Error(kind, message, {
      transactionId: tx.id,
      ...(state === "needs_operator" ? { rollback: state } : {}),
    });
  }

  /** @returns the state at rest; undefined when the process ends before that. Rejects for a simulated crash only. */
  async #bringToRest(
    header: TransactionHeader,
    options: Pick<TakenOver<C>, "onRest">,
    move: () => Promise<TransactionHeader>,
  ): Promise<State | undefined> {
    const { shutdown, onChange } = this.#options;
    try {
      if (header.state === "done") onChange(header);
      const { state } = header.state === "done" ? header : await move();
      options.onRest();
      return state;
    } catch (reason) {
      if (shutdown.aborted && !(reason instanceof SimulatedCrash)) return undefined;
      throw reason;
    }
  }

  #track(end: Promise<unknown>): Promise<unknown> {
    // A simulated crash rejects, and it has nobody to tell: what it stands for ends the process.
    const tracked = end.catch(() => {}).finally(() => this.#open.delete(tracked));
    this.#open.add(tracked);
    return tracked;
  }

  #keepEnd(transactionId: string, tracked: Promise<unknown>): void {
    const end = tracked.finally(() => this.#ends.delete(transactionId));
    this.#ends.set(transactionId, end);
  }
}

/** What `work` resolves with; undefined when `signal` aborts before that. */
async function firstOf<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  const aborted = Promise.withResolvers<undefined>();
  const onAbort = () => aborted.resolve(undefined);
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort);
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
