import { errorChain } from "../util/errors.ts";
import { type FinishParts, giveUp, goForward, readSteps, unwind } from "./finish.ts";
import { givenUp, hindranceOf, throwUnlessStuck } from "./give-up.ts";
import type { InHand, OnRest } from "./in-hand.ts";
import type { Asker, TransactionHeader } from "./journal.ts";
import type { LiveTransaction } from "./live.ts";

/** What a transaction goes on with that nobody has in hand. */
export interface TakenOver<C> {
  readonly context: C;
  readonly onRest: OnRest;
}

/** Takes the keys of a transaction again. */
export type TakeOver<C> = (header: TransactionHeader) => Promise<TakenOver<C>>;

/** Takes up the transactions in the journal that nobody has in hand. */
export class TakingOver<C, W> {
  readonly #parts: FinishParts<C, W>;
  readonly #inHand: InHand<C, W>;

  constructor(parts: FinishParts<C, W>, inHand: InHand<C, W>) {
    this.#parts = parts;
    this.#inHand = inHand;
  }

  /**
   * Takes over every open transaction of an earlier process: back before the pivot, forward after it.
   * Resolves when all are taken over, so that the API may listen; they come to rest in the background,
   * each by itself. One that `takeOver` refuses needs an operator; those that needed one before are
   * tried once more, after the others, since what was in their way may have been repaired.
   *
   * @returns how many were taken over.
   */
  async recover(takeOver: TakeOver<C>): Promise<number> {
    const headers = await this.#parts.journal.listOpen();
    const isStuck = ({ state }: TransactionHeader) => Number(state === "needs_operator");
    const open = headers.toSorted((a, b) => isStuck(a) - isStuck(b));
    for (const header of open) {
      const live = this.#inHand.adopt(header);
      try {
        this.#goOn(live, await takeOver(header));
      } catch (reason) {
        const error = `it cannot be taken over: ${errorChain(reason)}`;
        const giving = () => giveUp(this.#parts, live, error);
        this.#inHand.open.add(
          live.id,
          this.#inHand.bringToRest(live, () => {}, giving),
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
  async retry(id: string, takeOver: TakeOver<C>): Promise<LiveTransaction | undefined> {
    const header = await this.#parts.journal.find(id);
    const known = this.#inHand.live.find(id);
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
    takeOver: TakeOver<C>,
  ): Promise<LiveTransaction | undefined> {
    const { journal, registry, clock } = this.#parts;
    const header = await journal.find(id);
    if (header === undefined) return undefined;
    throwUnlessStuck(header, this.#inHand.live.find(id));
    return await this.#takeUp(header, takeOver, async () => {
      const { row, leaves } = hindranceOf(registry, header, await journal.listSteps(id), stepName);
      const rows = [givenUp(row, header, { by, atMs: clock.nowMs(), leaves })];
      await journal.update(header, { rows });
    });
  }

  async #takeUp(
    header: TransactionHeader,
    takeOver: TakeOver<C>,
    before: () => Promise<void>,
  ): Promise<LiveTransaction> {
    const live = this.#inHand.adopt(header);
    try {
      const taken = await takeOver(header);
      try {
        await before();
      } catch (reason) {
        await taken.onRest();
        throw reason;
      }
      this.#goOn(live, taken);
      return live;
    } catch (reason) {
      this.#inHand.live.remove(live);
      throw reason;
    }
  }

  /** In the background. */
  #goOn(live: LiveTransaction, { context, onRest }: TakenOver<C>): void {
    const rest = this.#inHand.bringToRest(live, onRest, () => this.#resume(live, context));
    this.#inHand.open.add(live.id, rest);
  }

  async #resume(live: LiveTransaction, context: C): Promise<TransactionHeader> {
    const stuck = await readSteps(this.#parts, live);
    if (stuck !== undefined) return stuck;
    if (live.header.isCommitted) return await goForward(this.#parts, context, live);
    const { reason, error } = live.header;
    const why = reason ?? error ?? "the process ended while it was running";
    return await unwind(this.#parts, context, live, live.header, why);
  }
}
