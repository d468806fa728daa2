/**
 * Does `work` for each item, in order. The items in work together weigh at most `weightMax`; a heavier item is
 * worked on alone.
 */
export async function eachWithin<T>(
  weightMax: number,
  items: readonly T[],
  weightOf: (item: T) => number,
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  // All of them: one that fails at the moment when another ends must not be forgotten.
  const begun: Promise<void>[] = [];
  let weight = 0;
  try {
    for (const [index, item] of items.entries()) {
      const own = Math.min(weightOf(item), weightMax);
      while (weight + own > weightMax) await Promise.race(running);
      weight += own;
      const run = work(item, index).finally(() => {
        weight -= own;
        running.delete(run);
      });
      running.add(run);
      begun.push(run);
    }
    await Promise.all(begun);
  } finally {
    await Promise.allSettled(begun);
  }
}
