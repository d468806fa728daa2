import { defined } from "../util/defined.ts";
import type { N0Error } from "../util/errors.ts";
import { firstOf, onAbort, within } from "../util/race.ts";
import { Admission } from "./admission.ts";
import { fairJournal, newTurns } from "./fair-journal.ts";
import { SimulatedCrash } from "./faults.ts";
import { goForward, undoSome, unwind } from "./finish.ts";
import { InHand, type OnRest } from "./in-hand.ts";
import type { Asker, StepRow, TransactionHeader } from "./journal.ts";
import { type LiveTransaction, LiveTransactions } from "./live.ts";
import type { OpenTransactions } from "./open-transactions.ts";
import { failureOf, shuttingDown, unfinished } from "./outcome.ts";
import type { StepRegistry } from "./registry.ts";
import type { Rehearse } from "./rehearsal.ts";
import { TakingOver, type TakingOverParts } from "./taking-over.ts";
import { Transaction } from "./transaction.ts";
import { transactionId } from "./transaction-id.ts";
import type { Turns } from "./turns.ts";

/** How long a client whose request failed waits for the unwind, which goes on after that. */
const UNWIND_PATIENCE_MS = 10_000;

export interface EngineOptions<C, W> extends TakingOverParts<C, W> {
  /**
   * The maximum number of transactions for which clients wait. Above it, a new one is refused before
   * anything is written.
   */
  readonly openMax: number;
  /**
   * For an engine that only shows what would happen: called instead of each act that reaches a node. Steps that
   * write records do so.
   */
  readonly rehearse?: Rehearse;
}

/**
 * Returns what to write with the state `unwound`, if this process ran the transaction. `reason` is why it
 * failed.
 */
export type UnwoundWrites<W> = (reason: unknown) => W | undefined;

/** What the caller says of a transaction. */
export interface EnterOptions {
  /** The method, such as `CreateVirtualMachine`. */
  readonly kind: string;
  /** Keys that the transaction holds while it is open; recovery takes them again. */
  readonly guards: readonly string[];
  readonly asker?: Asker;
  /** The project that it is for. Projects take turns. */
  readonly project?: string;
  /** The deadline of its client. */
  readonly deadlineAtMs?: number;
  /** The name of the request that it carries out. */
  readonly requestKey?: string;
}

export interface RunOptions<C, W> extends EnterOptions {
  readonly context: C;
  /** Aborts when the client has given up. */
  readonly cancel: AbortSignal;
  /** The result of `enter`, for a transaction that clients can see before it runs. */
  readonly live?: LiveTransaction;
  readonly onRest: OnRest;
  /** True if the caller has a place from `admit`, or if it runs within another transaction that has one. */
  readonly isAdmitted?: boolean;
  /**
   * Written with the opening record. If one of their conditions does not hold, the transaction does not
   * begin.
   */
  readonly openingWrites?: W;
  readonly unwoundWrites?: UnwoundWrites<W>;
}

type State = TransactionHeader["state"];

/** Runs sagas, and brings their transactions to rest. */
export class TransactionEngine<C, W> {
  /** The transactions that this process runs, to show and to stop them. */
  readonly live: LiveTransactions;
  /** Takes over transactions that no process runs. */
  readonly takingOver: TakingOver<C, W>;
  readonly #options: EngineOptions<C, W>;
  readonly #inHand: InHand<C, W>;
  readonly #open: OpenTransactions;
  /** Counts only transactions for which a client waits, because work in the background delays no client. */
  readonly #admission: Admission;
  readonly #turns: Turns;

  constructor(given: EngineOptions<C, W>) {
    this.live = new LiveTransactions();
    this.#admission = new Admission(given.openMax, given.clock);
    this.#turns = newTurns(this.#admission);
    const options = { ...given, journal: fairJournal(given.journal, this.live, this.#turns) };
    this.#options = options;
    this.#inHand = new InHand(options, this.live);
    this.#open = this.#inHand.open;
    this.takingOver = new TakingOver(options, this.#inHand);
    const { shutdown } = options;
    const stopAll = () => {
      for (const live of this.live.all()) live.stop(shuttingDown());
    };
    shutdown.addEventListener("abort", stopAll, { once: true });
  }

  get registry(): StepRegistry<C, W> {
    return this.#options.registry;
  }

  /**
   * The number of transactions that this process runs or brings to rest, without those that need an
   * operator.
   */
  get openCount(): number {
    return this.#open.count;
  }

  /**
   * Takes a place for a transaction, until the result is disposed of. Call it before the transaction takes
   * anything else, such as keys for which others wait.
   *
   * @throws N0Error `resource_exhausted` with a retry delay if too many are open, or too many of this project.
   */
  admit(project?: string): Disposable {
    return this.#admission.admit(project);
  }

  /**
   * Runs `saga` as one transaction: it happens whole, or it is unwound.
   *
   * @throws what the saga threw, with the id of the transaction and how far the unwind is;
   *   `resource_exhausted` if too many are open; `deadline_exceeded` if the client gave up before the steps
   *   after the commit were finished.
   */
  async run<T>(options: RunOptions<C, W>, saga: (tx: Transaction<C, W>) => Promise<T>): Promise<T> {
    const { cancel, live = this.enter(options) } = options;
    using _place = options.isAdmitted === true ? undefined : await this.#admit(options, live);
    const end = Promise.withResolvers<unknown>();
    this.#open.add(live.id, end.promise);
    using _listening = onAbort(cancel, () => live.stop(cancel.reason));
    try {
      const tx = await this.#begin(options, live);
      return await this.#run(tx, options, saga, end.resolve);
    } finally {
      end.resolve(undefined);
    }
  }

  /**
   * Makes a transaction visible before it runs, while it waits for its keys. Then `run` it, or forget it by
   * `live.remove`.
   */
  enter({ kind, guards, asker, project, deadlineAtMs, requestKey }: EnterOptions): LiveTransaction {
    const { clock, random, shutdown, sessions } = this.#options;
    const nowMs = clock.nowMs();
    const live = this.live.add({
      id: transactionId(nowMs, random.uuid()),
      kind,
      guards,
      startedAtMs: nowMs,
      session: sessions.id,
      state: "running",
      isCommitted: false,
      ...defined({ asker, project, deadlineAtMs, requestKey }),
    });
    if (shutdown.aborted) live.stop(shuttingDown());
    return live;
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
    } catch (thrown) {
      const closed = tx.close();
      if (thrown instanceof SimulatedCrash) {
        this.live.remove(tx.live);
        throw thrown;
      }
      await closed;
      const reason = tx.live.reasonFor(thrown);
      const rest = this.#inHand.bringToRest(tx.live, options.onRest, () =>
        tx.header.isCommitted
          ? goForward(this.#options, options.context, tx.live)
          : this.#unwind(tx, options, reason),
      );
      endWith(rest);
      throw await this.#failure(tx, rest, reason);
    }
    const rest = this.#inHand.bringToRest(tx.live, options.onRest, () =>
      goForward(this.#options, options.context, tx.live),
    );
    endWith(rest);
    await this.#waitFor(rest, tx, options.cancel);
    return result;
  }

  async #unwind(
    tx: Transaction<C, W>,
    { context, unwoundWrites }: RunOptions<C, W>,
    reason: unknown,
  ): Promise<TransactionHeader> {
    const { cancelled } = tx.live;
    const header = {
      ...tx.header,
      ...tx.ended,
      ...defined({ cancel: cancelled }),
    };
    const written = unwoundWrites?.(reason);
    return await unwind(this.#options, context, tx.live, header, tx.toldReason(reason), written);
  }

  /**
   * Resolves when this process runs no transaction any more. After a shutdown, the next process takes over
   * the open ones.
   */
  async settled(): Promise<void> {
    await this.#open.settled();
  }

  async #admit({ onRest, project }: RunOptions<C, W>, live: LiveTransaction): Promise<Disposable> {
    try {
      return this.admit(project);
    } catch (reason) {
      this.live.remove(live);
      await onRest();
      throw reason;
    }
  }

  async #begin(options: RunOptions<C, W>, live: LiveTransaction): Promise<Transaction<C, W>> {
    const { journal, faults, clock, shutdown } = this.#options;
    const { context, onRest, openingWrites } = options;
    try {
      await faults({ point: "before_begin", kind: live.header.kind, step: "", seq: -1 });
      const generation = await this.#turns.run(live.header.project ?? "", () =>
        journal.begin(live.header, openingWrites),
      );
      live.isJournaled = true;
      const turns = this.#turns;
      const undo = (rows: readonly StepRow[]) => undoSome(this.#options, context, live, rows);
      const { rehearse } = this.#options;
      const own = { live, context, generation, journal, turns, faults, clock, shutdown, undo };
      return new Transaction({ ...own, ...defined({ rehearse }) });
    } catch (reason) {
      this.live.remove(live);
      if (!(reason instanceof SimulatedCrash)) await onRest();
      throw reason;
    }
  }

  /** Waits a while for the unwind, and returns the error for the client. */
  async #failure(
    tx: Transaction<C, W>,
    rest: Promise<State | undefined>,
    reason: unknown,
  ): Promise<N0Error> {
    const { clock } = this.#options;
    const state = await within(clock, rest, UNWIND_PATIENCE_MS, () => undefined);
    return failureOf(tx.header, state, reason);
  }

  /** Waits for the steps after the pivot, as long as the client waits. */
  async #waitFor(
    rest: Promise<State | undefined>,
    tx: Transaction<C, W>,
    cancel: AbortSignal,
  ): Promise<void> {
    // Only its keys are still to be released. The client may need them for its next request.
    const state = await (tx.header.state === "done" ? rest : firstOf(rest, cancel));
    if (state === "done") return;
    throw unfinished(tx.header, state);
  }
}
