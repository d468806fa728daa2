import type { Random } from "./random.ts";

export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * The delay before the next try, after `failures` failures in a row (at least 1). The delay doubles up to
 * `maxMs`. A random part of up to half of it is subtracted, so that many clients which failed together do not
 * come back at the same moment.
 */
export function backoffMs({ firstMs, maxMs }: Backoff, failures: number, random: Random): number {
  return Math.min(maxMs, firstMs * 2 ** (failures - 1)) * (0.5 + random.fraction() / 2);
}
