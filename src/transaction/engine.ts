import { defined } from "../util/defined.ts";
import type { N0Error } from "../util/errors.ts";
import { firstOf, onAbort, within } from "../util/race.ts";
import { Admission } from "./admission.ts";
import { SimulatedCrash } from "./faults.ts";
import { goForward, unwind } from "./finish.ts";
import { InHand, type OnRest } from "./in-hand.ts";
import type { Asker, TransactionHeader } from "./journal.ts";
import type { LiveTransaction, LiveTransactions } from "./live.ts";
import type { OpenTransactions } from "./open-transactions.ts";
import { failureOf, unfinished } from "./outcome.ts";
import type { StepRegistry } from "./registry.ts";
import { TakingOver, type TakingOverParts } from "./taking-over.ts";
import { Transaction } from "./transaction.ts";
import { transactionId } from "./transaction-id.ts";

/** How long a client whose request failed is kept waiting for the unwind; it goes on after that. */
const UNWIND_PATIENCE_MS = 10_000;

export interface EngineOptions<C, W> extends TakingOverParts<C, W> {
  /** More that clients wait for than this, and a new one is refused before anything is written. */
  readonly openMax: number;
}

/** What is written with the state `unwound`, in the process that ran it; `reason` is what it failed for. */
export type UnwoundWrites<W> = (reason: unknown) => W | undefined;

/** What is known of a transaction when it is asked for. */
export interface EnterOptions {
  /** The RPC, such as `CreateVirtualMachine`. */
  readonly kind: string;
  /** Keys that the transaction holds while it is open; recovery takes them again. */
  readonly guards: readonly string[];
  readonly asker?: Asker;
  /** Until when its client waits. */
  readonly deadlineAtMs?: number;
  /** Names the request that it carries out. */
  readonly requestKey?: string;
}

export interface RunOptions<C, W> extends EnterOptions {
  readonly context: C;
  /** Aborts when the client gave up. */
  readonly cancel: AbortSignal;
  /** What `enter` answered, for a transaction that others were to see before it runs. */
  readonly live?: LiveTransaction;
  readonly onRest: OnRest;
  /** The caller holds a place from `admit`, or it runs within another transaction that has one. */
  readonly isAdmitted?: boolean;
  /** Written with its opening. Where a condition of theirs does not hold, nothing is begun. */
  readonly openingWrites?: W;
  readonly unwoundWrites?: UnwoundWrites<W>;
}

type State = TransactionHeader["state"];

/** Runs sagas, and brings to rest whatever any of them began. */
export class TransactionEngine<C, W> {
  /** Those that this process has in hand, for looking at them and for stopping them. */
  readonly live: LiveTransactions;
  /** Takes up those that nobody has in hand. */
  readonly takingOver: TakingOver<C, W>;
  readonly #options: EngineOptions<C, W>;
  readonly #inHand: InHand<C, W>;
  readonly #open: OpenTransactions;
  /** Of those that a client waits for: what goes on in the background is in nobody's way. */
  readonly #admission: Admission;

  constructor(options: EngineOptions<C, W>) {
    this.#options = options;
    this.#inHand = new InHand(options);
    this.#open = this.#inHand.open;
    this.live = this.#inHand.live;
    this.takingOver = new TakingOver(options, this.#inHand);
    this.#admission = new Admission(options.openMax, options.clock);
    const { shutdown } = options;
    const stopAll = () => {
      for (const live of this.live.all()) live.stop(shutdown.reason);
    };
    shutdown.addEventListener("abort", stopAll, { once: true });
  }

  get registry(): StepRegistry<C, W> {
    return this.#options.registry;
  }

  /** Transactions that this process runs or brings to rest. Those that need an operator are not among them. */
  get openCount(): number {
    return this.#open.count;
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
   * Runs `saga` as one transaction: it happens whole, or everything it did is undone.
   *
   * @throws whatever the saga threw, with the transaction's id and how far the rollback is;
   *   `resource_exhausted` when too many are open; `deadline_exceeded` when the client gave up while
   *   what is committed was still being finished.
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
   * Makes a transaction known before it runs, while it waits for what it needs: `run` it, or have
   * `live.remove` forget it.
   */
  enter({ kind, guards, asker, deadlineAtMs, requestKey }: EnterOptions): LiveTransaction {
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
      ...defined({ asker, deadlineAtMs, requestKey }),
    });
    if (shutdown.aborted) live.stop(shutdown.reason);
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

  /** Resolves when this process has none open any more: after shutdown some are left to the next one. */
  async settled(): Promise<void> {
    await this.#open.settled();
  }

  async #admit({ onRest }: RunOptions<C, W>, live: LiveTransaction): Promise<Disposable> {
    try {
      return this.admit();
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
      const generation = await journal.begin(live.header, openingWrites);
      live.isJournaled = true;
      return new Transaction({ live, context, generation, journal, faults, clock, shutdown });
    } catch (reason) {
      this.live.remove(live);
      if (!(reason instanceof SimulatedCrash)) await onRest();
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
    const state = await within(clock, rest, UNWIND_PATIENCE_MS, () => undefined);
    return failureOf(tx.header, state, reason);
  }

  /** Waits for the steps after the pivot, as long as the client does. */
  async #waitFor(
    rest: Promise<State | undefined>,
    tx: Transaction<C, W>,
    cancel: AbortSignal,
  ): Promise<void> {
    // Nothing is left to be done but to release its keys, which the client may ask for next.
    const state = await (tx.header.state === "done" ? rest : firstOf(rest, cancel));
    if (state === "done") return;
    throw unfinished(tx.header, state);
  }
}
