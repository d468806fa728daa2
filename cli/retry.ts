import { Code, ConnectError } from "@connectrpc/connect";
import type { Clock } from "../src/util/clock.ts";
import type { Random } from "../src/util/random.ts";
import { errorInfo, retryDelayMs } from "./error-details.ts";

export interface RetryPolicy {
  readonly clock: Clock;
  readonly random: Random;
  /** True for a call that changes nothing. */
  readonly isRead: boolean;
  /** Ends the waiting; the last refusal is then what the caller gets. */
  readonly signal?: AbortSignal | undefined;
  /** Told before each wait, so that a user sees why nothing happens. */
  onWait(delayMs: number, refusal: ConnectError): void;
}

const WAIT_TOTAL_MAX_MS = 300_000;
const DELAY_MIN_MS = 50;
const DELAY_MAX_MS = 30_000;

/**
 * Runs a call again where the server said when (RetryInfo) and surely nothing was written: a refusal at
 * admission or at a lock. A lost connection or a deadline is never repeated here, for nobody knows
 * what became of the first try. Waits at most five minutes in all, a little longer each time.
 */
export async function withRetry<T>(policy: RetryPolicy, call: () => Promise<T>): Promise<T> {
  const startMs = policy.clock.monotonicMs();
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await call();
    } catch (reason) {
      const refusal = ConnectError.from(reason);
      const askedMs = isRefusedWhole(refusal, policy.isRead) ? retryDelayMs(refusal) : undefined;
      if (askedMs === undefined) throw reason;
      const backoffMs = DELAY_MIN_MS * 2 ** Math.min(attempt, 10) * policy.random.fraction();
      const delayMs = Math.min(DELAY_MAX_MS, Math.max(DELAY_MIN_MS, askedMs) + backoffMs);
      const spentMs = policy.clock.monotonicMs() - startMs;
      if (spentMs + delayMs > WAIT_TOTAL_MAX_MS) throw reason;
      policy.onWait(delayMs, refusal);
      if (!(await slept(policy, delayMs))) throw reason;
    }
  }
}

async function slept({ clock, signal }: RetryPolicy, delayMs: number): Promise<boolean> {
  try {
    await clock.sleep(delayMs, signal);
    return true;
  } catch (reason) {
    if (signal?.aborted === true) return false;
    throw reason;
  }
}

/** With a transaction in the answer something had begun, and only a finished undo makes it safe again. */
function isRefusedWhole(refusal: ConnectError, isRead: boolean): boolean {
  if (refusal.code === Code.Unavailable) return isRead;
  if (refusal.code !== Code.Aborted && refusal.code !== Code.ResourceExhausted) return false;
  const { transactionId, rollback } = errorInfo(refusal);
  return isRead || transactionId === undefined || rollback === "done";
}
