import type { KeyedMutex } from "./keyed-mutex.ts";

/**
 * Returns a function that does one thing under a key. All calls that wait for the same key are done together:
 * `work` gets their things in the order of the calls, while it holds the key in `mutex`. If it fails for
 * several, each is done alone, so that none fails because of another.
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
