import type { KeyedMutex } from "./keyed-mutex.ts";

/**
 * Answers a function that does one thing under a key, together with all that are asked for until it is
 * their turn: `work` gets them at once, in the order they were asked for, while it holds the key in
 * `mutex`. Where it fails for several, each is done alone, so that none fails for another's sake.
 */
export function newTogether<T>(
  mutex: KeyedMutex,
  work: (key: string, things: readonly T[]) => Promise<void>,
): (key: string, thing: T) => Promise<void> {
  interface Waiting {
    readonly thing: T;
    readonly resolve: () => void;
    readonly reject: (reason: unknown) => void;
  }
  const waiting = new Map<string, Waiting[]>();

  async function doAll(key: string, group: readonly Waiting[]): Promise<void> {
    try {
      await work(
        key,
        group.map(({ thing }) => thing),
      );
      for (const { resolve } of group) resolve();
    } catch (reason) {
      if (group.length > 1) for (const one of group) await doAll(key, [one]);
      else group[0]?.reject(reason);
    }
  }

  return (key, thing) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const group = waiting.get(key);
    if (group !== undefined) {
      group.push({ thing, resolve, reject });
      return promise;
    }
    const own = [{ thing, resolve, reject }];
    waiting.set(key, own);
    void mutex.run(key, async () => {
      waiting.delete(key);
      await doAll(key, own);
    });
    return promise;
  };
}
