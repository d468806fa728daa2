import { systemClock } from "./clock.ts";

export interface UntilOptions {
  /** 5 s unless told. */
  readonly timeoutMs?: number;
  /** The pause between two questions, 5 ms unless told. */
  readonly everyMs?: number;
  /** For the error: what should be so. */
  readonly what?: string;
  /** In place of that error. */
  readonly onTimeout?: () => Error;
}

/**
 * Asks until the answer is neither undefined nor false, and returns it.
 *
 * @throws Error when that takes longer than `timeoutMs`.
 */
export async function until<T>(
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  { timeoutMs = 5_000, everyMs = 5, what = "what was waited for", onTimeout }: UntilOptions = {},
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
