/**
 * Runs the work of each key one after the other, in the order of the calls. Keys do not wait for each other.
 */
export interface KeyedMutex {
  /**
   * Runs `work` after all earlier work of `key` has ended, well or not, and returns its result. Not reentrant:
   * work that calls `run` with its own key waits for ever.
   */
  run<T>(key: string, work: () => Promise<T>): Promise<T>;
  /**
   * The number of keys with running or waiting work. It is 0 when idle, so that a test can show that nothing
   * leaks.
   */
  readonly size: number;
}

export function newKeyedMutex(): KeyedMutex {
  /** For each key, the end of the last work. Never rejects. */
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
