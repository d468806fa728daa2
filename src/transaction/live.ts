import type { Clock } from "../util/clock.ts";
import { defined } from "../util/defined.ts";
import { kindOf, N0Error } from "../util/errors.ts";
import { firstOf } from "../util/race.ts";
import type { Cancel, StepRow, TransactionHeader } from "./journal.ts";

/** What a transaction waits for, other than its own steps. */
export type Waiting =
  | { readonly for: "lock"; readonly key: string; readonly sinceMs: number }
  /** A transaction that runs within it. */
  | { readonly for: "transaction"; readonly id: string; readonly sinceMs: number }
  | {
      readonly for: "next_try";
      readonly seq: number;
      readonly sinceMs: number;
      readonly nextTryAtMs: number;
    };

/**
 * A transaction that this process runs: from the request, before the journal has anything of it, until it
 * is at rest or needs an operator. Others show it and stop it through this object.
 */
export class LiveTransaction {
  readonly id: string;
  /** False while it waits for its keys: then there is nothing to undo, and no record of it. */
  isJournaled = false;
  #header: TransactionHeader;
  readonly #rows = new Map<number, StepRow>();
  #waiting: Waiting | undefined;
  #cancelled: Cancel | undefined;
  #nap: AbortController | undefined;
  readonly #stop = new AbortController();
  readonly #onChange: (id: string) => void;

  constructor(header: TransactionHeader, onChange: (id: string) => void) {
    this.id = header.id;
    this.#header = header;
    this.#onChange = onChange;
  }

  get header(): TransactionHeader {
    return this.#header;
  }

  set header(header: TransactionHeader) {
    this.#header = header;
    this.#onChange(this.id);
  }

  /** In the order of `seq`. */
  get rows(): readonly StepRow[] {
    return [...this.#rows.values()].sort((a, b) => a.seq - b.seq);
  }

  setRow(row: StepRow): void {
    this.#rows.set(row.seq, row);
    this.#onChange(this.id);
  }

  get waiting(): Waiting | undefined {
    return this.#waiting;
  }

  set waiting(waiting: Waiting | undefined) {
    this.#waiting = waiting;
    this.#onChange(this.id);
  }

  /**
   * Aborts when its acts should stop, because the client gave up, somebody cancelled it, or the process
   * ends.
   */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Stops the running acts. Has no effect after the pivot. */
  stop(reason: unknown): void {
    this.#stop.abort(reason);
  }

  get cancelled(): Cancel | undefined {
    return this.#cancelled;
  }

  /**
   * Before the pivot, the transaction then unwinds. If the pivot is being written, the result of that write
   * decides.
   */
  cancel(cancel: Cancel): void {
    if (this.#cancelled !== undefined) return;
    this.#cancelled = cancel;
    this.stop(this.cancelledError());
  }

  /** The error for its client. */
  cancelledError(cause?: unknown): N0Error {
    const facts = defined({ cause });
    return new N0Error("canceled", `${this.#header.kind} was cancelled on request`, facts);
  }

  /** Why its saga failed. If somebody stopped it, that says more than the error of the stopped acts. */
  reasonFor(thrown: unknown): unknown {
    const isOther = this.#cancelled === undefined || this.#header.isCommitted;
    return isOther || kindOf(thrown) === "canceled" ? thrown : this.cancelledError(thrown);
  }

  /** Sleeps before the next try of a step, unless `hurry` is called. Rejects when `signal` aborts. */
  async nap(clock: Clock, seq: number, ms: number, signal: AbortSignal): Promise<void> {
    const nap = new AbortController();
    this.#nap = nap;
    const sinceMs = clock.nowMs();
    this.waiting = { for: "next_try", seq, sinceMs, nextTryAtMs: Math.round(sinceMs + ms) };
    try {
      await clock.sleep(ms, AbortSignal.any([signal, nap.signal]));
    } catch {
      signal.throwIfAborted();
    } finally {
      this.#nap = undefined;
      this.#waiting = undefined;
    }
  }

  /** Ends the wait before the next try, if there is one. */
  hurry(): void {
    if (this.#nap === undefined) return;
    this.#nap.abort();
    this.waiting = undefined;
  }
}

/** The transactions that this process runs. */
export class LiveTransactions {
  readonly #byId = new Map<string, LiveTransaction>();
  readonly #listeners = new Set<(id: string) => void>();
  readonly #tell = (id: string) => {
    for (const listener of this.#listeners) listener(id);
  };

  find(id: string): LiveTransaction | undefined {
    return this.#byId.get(id);
  }

  all(): readonly LiveTransaction[] {
    return [...this.#byId.values()];
  }

  add(header: TransactionHeader): LiveTransaction {
    const live = new LiveTransaction(header, this.#tell);
    this.#byId.set(live.id, live);
    this.#tell(live.id);
    return live;
  }

  /** Forgets a transaction that is at rest or that this process no longer runs. Can be called twice. */
  remove(live: LiveTransaction): void {
    if (this.#byId.get(live.id) === live && this.#byId.delete(live.id)) this.#tell(live.id);
  }

  /** Calls `listener` with the id of each transaction that changes, begins or ends. */
  onChange(listener: (id: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves once `isTrue` holds after a change of this transaction, or when `signal` aborts. */
  async until({ id }: LiveTransaction, isTrue: () => boolean, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = this.onChange((changed) => {
      if (changed === id && isTrue()) resolve();
    });
    try {
      if (!isTrue()) await firstOf(promise, signal);
    } finally {
      stop();
    }
  }
}
