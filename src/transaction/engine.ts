import { defined } from "../util/defined.ts";
import { errorChain, type N0Error } from "../util/errors.ts";
import { firstOf, onAbort, within } from "../util/race.ts";
import { Admission } from "./admission.ts";
import { SimulatedCrash } from "./faults.ts";
import { type FinishParts, giveUp, goForward, readSteps, unwind } from "./finish.ts";
import { givenUp, hindranceOf, throwUnlessStuck } from "./give-up.ts";
import type { Asker, TransactionHeader } from "./journal.ts";
import { type LiveTransaction, LiveTransactions } from "./live.ts";
import { OpenTransactions } from "./open-transactions.ts";
import { failureOf, unfinished } from "./outcome.ts";
import type { StepRegistry } from "./registry.ts";
import { Transaction } from "./transaction.ts";
import { transactionId } from "./transaction-id.ts";

/** How long a client whose request failed is kept waiting for the unwind; it goes on after that. */
const UNWIND_PATIENCE_MS = 10_000;

export interface EngineOptions<C, W> extends FinishParts<C, W> {
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
  /** Names the request; of one name there is one transaction at a time. */
  readonly requestKey?: string;
}

export interface RunOptions<C, W> extends EnterOptions {
  readonly context: C;
  /** Aborts when the client gave up. */
  readonly cancel: AbortSignal;
  /** What `enter` answered, for a transaction that others were to see before it runs. */
  readonly live?: LiveTransaction;
  /** Called once, when the transaction rests or needs an operator. */
  readonly onRest: () => void;
  /** The caller holds a place from `admit`, or it runs within another transaction that has one. */
  readonly isAdmitted?: boolean;
  readonly unwoundWrites?: UnwoundWrites<W>;
}

type State = TransactionHeader["state"];

/** What a caller must hand in to take over a transaction of a process that died. */
export interface TakenOver<C> {
  readonly context: C;
  readonly onRest: () => void;
}

/** Runs sagas, and brings to rest whatever any of them began. */
export class TransactionEngine<C, W> {
  /** Those that this process has in hand, for looking at them and for stopping them. */
  readonly live = new LiveTransactions();
  readonly #options: EngineOptions<C, W>;
  readonly #open = new OpenTransactions();
  /** Of those that a client waits for: what goes on in the background is in nobody's way. */
  readonly #admission: Admission;

  constructor(options: EngineOptions<C, W>) {
    this.#options = options;
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
   * Resolves when the transaction is at rest, needs an operator or is left to the next process; undefined
   * where this process does not bring it to rest.
   */
  restOf(transactionId: string): Promise<unknown> | undefined {
    return this.#open.endOf(transactionId);
  }

  /** The id of the transaction for this request that is not at rest, of this process or an earlier one. */
  openFor(requestKey: string): string | undefined {
    return this.#open.idFor(requestKey);
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
    using _place = options.isAdmitted === true ? undefined : this.#admit(options, live);
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
    const { clock, random, shutdown } = this.#options;
    const nowMs = clock.nowMs();
    const live = this.live.add({
      id: transactionId(nowMs, random.uuid()),
      kind,
      guards,
      startedAtMs: nowMs,
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
      const rest = this.#bringToRest(tx.live, options, () =>
        tx.header.isCommitted
          ? goForward(this.#options, options.context, tx.live)
          : this.#unwind(tx, options, reason),
      );
      endWith(rest);
      throw await this.#failure(tx, rest, reason);
    }
    const rest = this.#bringToRest(tx.live, options, () =>
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
      const live = this.#adopt(header);
      try {
        const taken = await takeOver(header);
        const rest = this.#bringToRest(live, taken, () => this.#resume(live, taken.context));
        this.#open.add(live.id, rest);
      } catch (reason) {
        const error = `it cannot be taken over: ${errorChain(reason)}`;
        const nobody = { onRest: () => {} };
        this.#open.add(
          live.id,
          this.#bringToRest(live, nobody, () => giveUp(this.#options, live, error)),
        );
      }
    }
    return open.length;
  }

  /**
   * Takes a transaction up again that needs an operator, or ends the wait before the next try of one that
   * is on its way. It goes on in the background.
   *
   * @returns undefined where there is nothing to take up: it is at rest, or there is none.
   * @throws whatever `takeOver` throws; the transaction is then as it was.
   */
  async retry(
    id: string,
    takeOver: (header: TransactionHeader) => Promise<TakenOver<C>>,
  ): Promise<LiveTransaction | undefined> {
    const header = await this.#options.journal.find(id);
    const known = this.live.find(id);
    known?.hurry();
    if (known !== undefined || header?.state !== "needs_operator") return known;
    return await this.#takeUp(header, takeOver, async () => {});
  }

  /**
   * Lets the step be that a transaction needs an operator for: it counts as undone or, after the pivot, as
   * done, and the transaction goes on in the background without it.
   *
   * @param stepName where given, refused unless it is this step that hinders by now.
   * @returns undefined where there is no such transaction.
   * @throws N0Error as `throwUnlessStuck` and `hindranceOf`; whatever `takeOver` throws; the transaction is then as it was.
   */
  async giveUp(
    id: string,
    by: Asker,
    stepName: string,
    takeOver: (header: TransactionHeader) => Promise<TakenOver<C>>,
  ): Promise<LiveTransaction | undefined> {
    const { journal, registry, clock } = this.#options;
    const header = await journal.find(id);
    if (header === undefined) return undefined;
    throwUnlessStuck(header, this.live.find(id));
    return await this.#takeUp(header, takeOver, async () => {
      const { row, leaves } = hindranceOf(registry, header, await journal.listSteps(id), stepName);
      const rows = [givenUp(row, header, { by, atMs: clock.nowMs(), leaves })];
      await journal.update(header, { rows });
    });
  }

  async #takeUp(
    header: TransactionHeader,
    takeOver: (header: TransactionHeader) => Promise<TakenOver<C>>,
    before: () => Promise<void>,
  ): Promise<LiveTransaction> {
    const live = this.#adopt(header);
    try {
      const taken = await takeOver(header);
      try {
        await before();
      } catch (reason) {
        taken.onRest();
        throw reason;
      }
      const rest = this.#bringToRest(live, taken, () => this.#resume(live, taken.context));
      this.#open.add(header.id, rest);
      return live;
    } catch (reason) {
      this.live.remove(live);
      throw reason;
    }
  }

  #adopt(header: TransactionHeader): LiveTransaction {
    this.#open.keepRequest(header);
    const live = this.live.add(header);
    live.isJournaled = true;
    return live;
  }

  async #resume(live: LiveTransaction, context: C): Promise<TransactionHeader> {
    const stuck = await readSteps(this.#options, live);
    if (stuck !== undefined) return stuck;
    if (live.header.isCommitted) return await goForward(this.#options, context, live);
    const { reason, error } = live.header;
    const why = reason ?? error ?? "the process ended while it was running";
    return await unwind(this.#options, context, live, live.header, why);
  }

  /** Resolves when this process has none open any more: after shutdown some are left to the next one. */
  async settled(): Promise<void> {
    await this.#open.settled();
  }

  #admit({ onRest }: RunOptions<C, W>, live: LiveTransaction): Disposable {
    try {
      return this.admit();
    } catch (reason) {
      this.live.remove(live);
      onRest();
      throw reason;
    }
  }

  async #begin(options: RunOptions<C, W>, live: LiveTransaction): Promise<Transaction<C, W>> {
    const { journal, faults, clock, shutdown } = this.#options;
    const { context, onRest } = options;
    try {
      await faults({ point: "before_begin", kind: live.header.kind, step: "", seq: -1 });
      this.#open.keepRequest(live.header);
      const generation = await journal.begin(live.header);
      live.isJournaled = true;
      return new Transaction({ live, context, generation, journal, faults, clock, shutdown });
    } catch (reason) {
      this.live.remove(live);
      this.#open.forgetRequest(live.header);
      if (!(reason instanceof SimulatedCrash)) onRest();
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
    const state = await firstOf(rest, cancel);
    if (state === "done") return;
    throw unfinished(tx.header, state);
  }

  /** @returns the state at rest; undefined when the process ends before that. Rejects for a simulated crash only. */
  async #bringToRest(
    live: LiveTransaction,
    options: Pick<TakenOver<C>, "onRest">,
    move: () => Promise<TransactionHeader>,
  ): Promise<State | undefined> {
    const { shutdown, onChange } = this.#options;
    const { header } = live;
    try {
      if (header.state === "done") onChange(header);
      const { state } = header.state === "done" ? header : await move();
      if (state !== "needs_operator") this.#open.forgetRequest(header);
      options.onRest();
      return state;
    } catch (reason) {
      if (shutdown.aborted && !(reason instanceof SimulatedCrash)) return undefined;
      throw reason;
    } finally {
      this.live.remove(live);
    }
  }
}
