import { onAbort } from "./race.ts";
/** One of a fixed number of places, until it is disposed of. */
export interface Slot extends Disposable {
  /** Counts from 0. No two slots in use have the same number. */
  readonly index: number;
}

export interface Slots {
  /** Waits for a free slot, in the order of the calls. @throws the signal's reason if that aborts first. */
  take(signal: AbortSignal): Promise<Slot>;
}

export function newSlots(count: number): Slots {
  const free = Array.from({ length: count }, (_, index) => index);
  const waiting = new Set<(index: number) => void>();

  function giveBack(index: number): void {
    const [next] = waiting;
    if (next === undefined) free.push(index);
    else {
      waiting.delete(next);
      next(index);
    }
  }

  function slot(index: number): Slot {
    let isTaken = true;
    return {
      index,
      [Symbol.dispose]() {
        if (isTaken) giveBack(index);
        isTaken = false;
      },
    };
  }

  return {
    async take(signal) {
      signal.throwIfAborted();
      const index = free.shift();
      if (index !== undefined) return slot(index);
      const turn = Promise.withResolvers<number>();
      waiting.add(turn.resolve);
      using _ = onAbort(signal, () => {
        // A call that got a slot in the meantime gives it back by itself.
        if (waiting.delete(turn.resolve)) turn.reject(signal.reason);
      });
      return slot(await turn.promise);
    },
  };
}
