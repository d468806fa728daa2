/** Runs work one at a time for each key, in the order it was asked for. Keys do not wait for each other. */
export interface KeyedMutex {
  /**
   * Runs `work` when all that was asked for before under `key` has ended, well or not. What it
   * resolves or rejects with is the result. Not reentrant: work that asks for its own key waits for ever.
   */
  run<T>(key: string, work: () => Promise<T>): Promise<T>;
  /** How many keys are held or waited for; 0 when idle, so that a test can show that nothing is kept. */
  readonly size: number;
}

export function newKeyedMutex(): KeyedMutex {
  /** For each key the end of the last work asked for; never rejects. */
  const tails = new Map<string, Promise<void>>();

  return {
    run(key, work) {
      const before = tails.get(key) ?? Promise.resolve();
      const result = before.then(work);
      const settled = () => {
        if (tails.get(key) === tail) tails.delete(key);
      };
      const tail: Promise<void> = result.then(settled, settled);
      tails.set(key, tail);
      return result;
    },
    get size() {
      return tails.size;
    },
  };
}
