import type { Random } from "./random.ts";

export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * How long to wait before the next try, after `failures` in a row, the first of which is number 1. The delay
 * doubles up to `maxMs`. At random up to half of it is left out, so that many clients which failed together
 * do not come back in the same moment.
 */
export function backoffMs({ firstMs, maxMs }: Backoff, failures: number, random: Random): number {
  return Math.min(maxMs, firstMs * 2 ** (failures - 1)) * (0.5 + random.fraction() / 2);
}
