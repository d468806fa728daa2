import { errorChain, N0Error } from "../util/errors.ts";
import { type FinishParts, giveUp, goForward, readSteps, unwind } from "./finish.ts";
import { givenUp, hindranceOf, throwUnlessStuck } from "./give-up.ts";
import type { InHand, OnRest } from "./in-hand.ts";
import type { Asker, TransactionHeader } from "./journal.ts";
import type { LiveTransaction } from "./live.ts";
import type { Locks } from "./locks.ts";
import { persist } from "./persist.ts";
import type { SeenSessions, Sessions } from "./sessions.ts";

/** What a transaction needs to go on after a take-over. */
export interface TakenOver<C> {
  readonly context: C;
  readonly onRest: OnRest;
}

/** Takes the keys of a transaction again, also keys that it still holds in an ended session. */
export type TakeOver<C> = (
  header: TransactionHeader,
  hasEnded: (session: string) => boolean,
) => Promise<TakenOver<C>>;

export interface TakingOverParts<C, W> extends FinishParts<C, W> {
  readonly sessions: Sessions;
  readonly locks: Pick<Locks, "holderOf" | "releaseAll">;
}

/** Takes over the transactions in the journal that no process runs. */
export class TakingOver<C, W> {
  readonly #parts: TakingOverParts<C, W>;
  readonly #inHand: InHand<C, W>;

  constructor(parts: TakingOverParts<C, W>, inHand: InHand<C, W>) {
    this.#parts = parts;
    this.#inHand = inHand;
  }

  /**
   * Takes over every open transaction of ended sessions: back before the pivot, forward after it. Resolves
   * when all their keys are held, so that the API may listen. The transactions come to rest in the
   * background, each by itself. One that `takeOver` refuses needs an operator. Those that needed one before
   * are tried once more, after the others, because their reason may have been repaired.
   *
   * @returns how many were taken over.
   */
  async recover(takeOver: TakeOver<C>): Promise<number> {
    const { journal, sessions, locks } = this.#parts;
    const open = await journal.listOpen();
    const seen = await sessions.look();
    const isStuck = ({ state }: TransactionHeader) => Number(state === "needs_operator");
    const left = open
      .filter(
        ({ id, session }) => seen.hasEnded(session) && this.#inHand.live.find(id) === undefined,
      )
      .sort((a, b) => isStuck(a) - isStuck(b));
    let count = 0;
    for (const header of left) if (await this.#recover(header, takeOver, seen)) count += 1;
    // A transaction also holds keys before its begin and after its rest. Nobody takes these over.
    for (const session of seen.ended) await locks.releaseAll(session);
    await sessions.forget(seen.ended);
    return count;
  }

  /** @returns false if another session was faster. */
  async #recover(
    header: TransactionHeader,
    takeOver: TakeOver<C>,
    { ended }: SeenSessions,
  ): Promise<boolean> {
    const live = this.#inHand.adopt(header);
    try {
      const taken = await takeOver(header, (session) => ended.includes(session));
      this.#goOn(live, taken.onRest, () => this.#resume(live, taken.context));
      return true;
    } catch (reason) {
      if (await this.#isElsewhere(header)) {
        this.#inHand.live.remove(live);
        return false;
      }
      const error = `it cannot be taken over: ${errorChain(reason)}`;
      this.#goOn(
        live,
        () => {},
        () => giveUp(this.#parts, live, error),
      );
      return true;
    }
  }

  async #isElsewhere({ id, guards }: TransactionHeader): Promise<boolean> {
    const holders = await Promise.all(guards.map((key) => this.#parts.locks.holderOf(key)));
    return holders.some((holder) => holder?.transactionId === id);
  }

  /**
   * Retries a transaction that needs an operator, or ends the wait before its next try. The transaction
   * goes on in the background.
   *
   * @returns undefined if there is nothing to retry: it is at rest, or does not exist.
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
   * Gives up the step for which a transaction needs an operator: the step counts as undone or, after the
   * pivot, as done, and the transaction goes on in the background without it.
   *
   * @param stepName if given, refused unless this step hinders the transaction by now.
   * @returns undefined if there is no such transaction.
   * @throws N0Error as `throwUnlessStuck` and `hindranceOf`; whatever `takeOver` throws; the transaction is
   *   then as it was.
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
    return await this.#takeUp(header, takeOver, async (claimed) => {
      const { row, leaves } = hindranceOf(registry, claimed, await journal.listSteps(id), stepName);
      const rows = [givenUp(row, claimed, { by, atMs: clock.nowMs(), leaves })];
      await journal.update(claimed, { rows });
    });
  }

  async #takeUp(
    header: TransactionHeader,
    takeOver: TakeOver<C>,
    before: (claimed: TransactionHeader) => Promise<void>,
  ): Promise<LiveTransaction> {
    const { journal, sessions } = this.#parts;
    const live = this.#inHand.adopt(header);
    try {
      const taken = await takeOver(header, () => false);
      try {
        const claimed = await journal.claim(header, sessions.id);
        if (claimed === undefined) throw overtaken(header);
        live.header = claimed;
        await before(claimed);
      } catch (reason) {
        await taken.onRest();
        throw reason;
      }
      this.#goOn(live, taken.onRest, () => this.#resume(live, taken.context));
      return live;
    } catch (reason) {
      this.#inHand.live.remove(live);
      throw reason;
    }
  }

  /** Runs in the background, and only if this session takes the transaction over. */
  #goOn(live: LiveTransaction, onRest: OnRest, move: () => Promise<TransactionHeader>): void {
    const rest = this.#inHand.bringToRest(live, onRest, async () => {
      const claimed = await this.#claim(live.header);
      if (claimed === undefined) return undefined;
      live.header = claimed;
      return await move();
    });
    this.#inHand.open.add(live.id, rest);
  }

  async #claim(header: TransactionHeader): Promise<TransactionHeader | undefined> {
    const { journal, sessions, clock, random, shutdown: signal, giveUpAfterMs } = this.#parts;
    let claimed: TransactionHeader | undefined;
    const work = async () => {
      claimed = await journal.claim(header, sessions.id);
    };
    const hardFailuresMax = Number.POSITIVE_INFINITY;
    await persist(work, { clock, random, signal, giveUpAfterMs, hardFailuresMax });
    return claimed;
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

function overtaken({ id }: TransactionHeader): N0Error {
  return new N0Error("aborted", `transaction "${id}" has just changed: look at it again`, {
    resource: `transaction/${id}`,
  });
}
