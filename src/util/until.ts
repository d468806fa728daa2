import { systemClock } from "./clock.ts";

export interface UntilOptions {
  /** Default: 20 s, less than a test may take. It is long because a busy computer is slow. */
  readonly timeoutMs?: number;
  /** The pause between two calls of `ask`. Default: 5 ms. */
  readonly everyMs?: number;
  /** For the error: what should become true. */
  readonly what?: string;
  /** Makes the error, in place of the default one. */
  readonly onTimeout?: () => Error;
}

/**
 * Calls `ask` until it answers neither undefined nor false, and returns that answer.
 *
 * @throws Error if that takes longer than `timeoutMs`.
 */
export async function until<T>(
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  { timeoutMs = 20_000, everyMs = 5, what = "the condition", onTimeout }: UntilOptions = {},
): Promise<T> {
  const endMs = systemClock.monotonicMs() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (systemClock.monotonicMs() > endMs) {
      throw onTimeout?.() ?? new Error(`not within ${timeoutMs} ms: ${what}`);
    }
    await systemClock.sleep(everyMs);
  }
}
