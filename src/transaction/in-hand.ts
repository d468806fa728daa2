import { SimulatedCrash } from "./faults.ts";
import type { FinishParts } from "./finish.ts";
import type { TransactionHeader, TransactionState } from "./journal.ts";
import type { LiveTransaction, LiveTransactions } from "./live.ts";
import { OpenTransactions } from "./open-transactions.ts";

/** Called once, when the transaction is at rest or needs an operator. Must not reject. */
export type OnRest = () => void | Promise<void>;

/** The transactions that this process runs, with their ends, for which others wait. */
export class InHand<C, W> {
  readonly live: LiveTransactions;
  readonly open = new OpenTransactions();
  readonly #parts: FinishParts<C, W>;

  constructor(parts: FinishParts<C, W>, live: LiveTransactions) {
    this.#parts = parts;
    this.live = live;
  }

  /** Takes over a transaction of the journal. */
  adopt(header: TransactionHeader): LiveTransaction {
    const live = this.live.add(header);
    live.isJournaled = true;
    return live;
  }

  /**
   * @param move undoes or finishes it; returns undefined if another session runs it.
   * @returns the state at rest; undefined if the process ends before that, or if `move` returned undefined.
   *   Rejects only for a simulated crash.
   */
  async bringToRest(
    live: LiveTransaction,
    onRest: OnRest,
    move: () => Promise<TransactionHeader | undefined>,
  ): Promise<TransactionState | undefined> {
    const { shutdown, onChange } = this.#parts;
    const { header } = live;
    try {
      if (header.state === "done") onChange(header);
      const state = header.state === "done" ? header.state : (await move())?.state;
      await onRest();
      return state;
    } catch (reason) {
      if (shutdown.aborted && !(reason instanceof SimulatedCrash)) return undefined;
      throw reason;
    } finally {
      this.live.remove(live);
    }
  }
}
