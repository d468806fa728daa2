import { planRounds } from "./plan.ts";
import { type Result, type SimulationOptions, simulate } from "./simulation.ts";

export interface Shrunk {
  /** The numbers of the remaining items. */
  readonly keep: readonly number[];
  readonly result: Result;
  readonly runs: number;
}

export interface ShrinkLimits {
  readonly runsMax: number;
  readonly ms: number;
}

/**
 * Leaves out as many items as it can while the run still goes wrong: first whole rounds, then ever smaller
 * parts of the rest.
 */
export async function shrink(
  options: SimulationOptions,
  failed: Result,
  limits: ShrinkLimits,
): Promise<Shrunk> {
  const startedMs = performance.now();
  const { onRound: _, onLine: __, ...quiet } = options;
  let best: Shrunk = { keep: itemsUntil(options, failed.rounds).flat(), result: failed, runs: 0 };
  const isOver = () => best.runs >= limits.runsMax || performance.now() - startedMs >= limits.ms;
  const fails = async (keep: readonly number[]): Promise<boolean> => {
    const result = await simulate({ ...quiet, keep: new Set(keep) });
    const isFailing = result.violations.length > 0;
    best = isFailing ? { keep, result, runs: best.runs + 1 } : { ...best, runs: best.runs + 1 };
    return isFailing;
  };

  const rounds = itemsUntil(options, failed.rounds);
  for (let last = 1; last < rounds.length && !isOver(); last *= 2) {
    if (await fails(rounds.slice(-last).flat())) break;
  }
  // After a part was left out, the parts keep their size. If no part can be left out, they are halved.
  let size = Math.ceil(best.keep.length / 2);
  while (size >= 1 && !isOver()) {
    let isSmaller = false;
    for (let from = 0; from < best.keep.length && !isOver(); ) {
      const rest = [...best.keep.slice(0, from), ...best.keep.slice(from + size)];
      if (rest.length > 0 && (await fails(rest))) isSmaller = true;
      else from += size;
    }
    if (size === 1 && !isSmaller) break;
    if (!isSmaller || size > best.keep.length)
      size = Math.ceil(Math.min(size, best.keep.length) / 2);
  }
  return best;
}

/** The numbers of the items of each round. */
function itemsUntil(options: SimulationOptions, rounds: number): number[][] {
  const { keep } = options;
  const found: number[][] = [];
  for (const { items } of planRounds(options.seed, options)) {
    if (found.length === rounds) break;
    const indexes = items.map(({ index }) => index);
    found.push(keep === undefined ? indexes : indexes.filter((index) => keep.has(index)));
  }
  return found;
}
