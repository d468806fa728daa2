import { setImmediate as nextTurn } from "node:timers/promises";

/** The limit for `measured`, which is the ratio if there is a floor, otherwise our own figure. */
export type Bar = { readonly atMost: number } | { readonly atLeast: number };

/** One line of the table. */
export interface Row {
  readonly what: string;
  readonly unit: "ms" | "s" | "/s" | "MiB" | "";
  /** The same work without n0stack, in the same run. */
  readonly floor?: number;
  readonly ours: number;
  /** Undefined: only for information. */
  readonly bar?: Bar;
  /** How the numbers were measured, and what they do not show. */
  readonly note?: string;
}

export interface Options {
  /** How many times each thing is measured. The median counts. */
  readonly runs: number;
}

export interface Measurement {
  /** The name for `--only`. */
  readonly name: string;
  /** Starts real virtual machines: needs root, libvirt, QEMU and network namespaces. */
  readonly isOnNode?: boolean;
  run(options: Options): Promise<readonly Row[]>;
}

/** The figure that is compared with the bar. */
export function measured({ floor, ours }: Row): number {
  return floor === undefined ? ours : ours / floor;
}

/** Undefined without a bar. */
export function isMet(row: Row): boolean | undefined {
  if (row.bar === undefined) return undefined;
  return "atMost" in row.bar ? measured(row) <= row.bar.atMost : measured(row) >= row.bar.atLeast;
}

/** The middle value, or the mean of the two middle ones. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}

/** The least value that a share of `share` of all values does not exceed; 0.99 for p99. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/** The milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

/** Calls `work` with 0 to `count` - 1, `width` calls at a time, and returns how long each took. */
export async function spread(
  count: number,
  width: number,
  work: (index: number) => Promise<unknown>,
): Promise<number[]> {
  const tookMs: number[] = [];
  let next = 0;
  const line = async () => {
    while (next < count) {
      const index = next++;
      tookMs.push(await timed(() => work(index)));
    }
  };
  await Promise.all(Array.from({ length: width }, line));
  return tookMs;
}

/**
 * Measures things in turn, so that other load on the computer affects all of them alike: once to warm up, then
 * `runs` times, forwards and backwards. Each returns milliseconds, or any other number.
 */
export async function inTurn<K extends string>(
  runs: number,
  things: Readonly<Record<K, (run: number) => Promise<number>>>,
): Promise<Record<K, number[]>> {
  const names = Object.keys(things) as K[];
  const values = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<
    K,
    number[]
  >;
  for (let run = 0; run <= runs; run++) {
    for (const name of run % 2 === 0 ? names : names.toReversed()) {
      const value = await things[name](run);
      if (run > 0) values[name].push(value);
      await nextTurn();
    }
  }
  return values;
}

/** Processor milliseconds of this process since its start, for all threads. */
export function cpuMeter(): () => number {
  const start = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1000;
  };
}
