import { Code, ConnectError } from "@connectrpc/connect";
import { backoffMs } from "../src/util/backoff.ts";
import type { Clock } from "../src/util/clock.ts";
import type { Random } from "../src/util/random.ts";
import { errorInfo, retryDelayMs } from "./error-details.ts";
import { isLost } from "./lost.ts";

export interface RetryPolicy {
  readonly clock: Clock;
  readonly random: Random;
  /** The time limit of all tries together. Without it, only the waits are limited. */
  readonly timeoutMs?: number | undefined;
  /** Ends the wait; the caller then gets the last failure. */
  readonly signal?: AbortSignal | undefined;
  /** True once the API has answered a call. After that, n0cli waits for an API that it cannot reach. */
  isKnown(): boolean;
  /** Called before each wait that the server asks for, to tell the user the reason. */
  onWait(delayMs: number, refusal: ConnectError): void;
  /** Called once each time that the server goes away. */
  onGone(upToMs: number, failure: ConnectError): void;
}

const WAIT_TOTAL_MAX_MS = 300_000;
const DELAY_MIN_MS = 50;
const DELAY_MAX_MS = 30_000;
/** Long enough for a server to restart and recover its transactions. */
const GONE_MAX_MS = 60_000;
const GONE_BACKOFF = { firstMs: 100, maxMs: 5_000 };

/**
 * Retries a call when the server says when to (RetryInfo), and when the connection was lost. A retry is safe
 * for a call that changes nothing, and for one whose tries carry the same idempotency key. The waits that the
 * server asks for grow a little each time and are five minutes together at most. A server that is gone gets a
 * minute; a server that never answered gets none.
 */
export async function withRetry<T>(policy: RetryPolicy, call: () => Promise<T>): Promise<T> {
  const waits = new Waits(policy);
  for (;;) {
    try {
      return await call();
    } catch (reason) {
      await waits.after(reason);
    }
  }
}

class Waits {
  readonly #policy: RetryPolicy;
  readonly #startMs: number;
  #askedCount = 0;
  #askedTotalMs = 0;
  /** When the server went away, and the first failure that showed it. */
  #gone: { readonly sinceMs: number; readonly reason: unknown; tries: number } | undefined;

  constructor(policy: RetryPolicy) {
    this.#policy = policy;
    this.#startMs = policy.clock.monotonicMs();
  }

  /** Resolves when it is time to try again. @throws the failure for the caller. */
  async after(reason: unknown): Promise<void> {
    const error = ConnectError.from(reason);
    if (this.#isGone(error)) return await this.#waitForServer(reason, error);
    this.#gone = undefined;
    const askedMs = isRefusedForNow(error) ? retryDelayMs(error) : undefined;
    if (askedMs === undefined) throw reason;
    await this.#waitAsAsked(askedMs, reason, error);
  }

  #isGone(error: ConnectError): boolean {
    if (isLost(error)) return true;
    const isUnreachable = error.code === Code.Unavailable && !errorInfo(error).isOurs;
    return isUnreachable && (this.#gone !== undefined || this.#policy.isKnown());
  }

  async #waitForServer(reason: unknown, error: ConnectError): Promise<void> {
    const { clock, random, onGone } = this.#policy;
    const nowMs = clock.monotonicMs();
    if (this.#gone === undefined) onGone(GONE_MAX_MS, error);
    this.#gone ??= { sinceMs: nowMs, reason, tries: 0 };
    const gone = this.#gone;
    gone.tries += 1;
    const delayMs = backoffMs(GONE_BACKOFF, gone.tries, random);
    // The first failure names what was lost; the later ones only say that nobody listens.
    if (nowMs - gone.sinceMs + delayMs > GONE_MAX_MS) throw gone.reason;
    await this.#sleep(delayMs, gone.reason);
  }

  async #waitAsAsked(askedMs: number, reason: unknown, error: ConnectError): Promise<void> {
    const { random, onWait } = this.#policy;
    const extraMs = DELAY_MIN_MS * 2 ** Math.min(this.#askedCount, 10) * random.fraction();
    const delayMs = Math.min(DELAY_MAX_MS, Math.max(DELAY_MIN_MS, askedMs) + extraMs);
    this.#askedCount += 1;
    this.#askedTotalMs += delayMs;
    if (this.#askedTotalMs > WAIT_TOTAL_MAX_MS) throw reason;
    onWait(delayMs, error);
    await this.#sleep(delayMs, reason);
  }

  async #sleep(delayMs: number, reason: unknown): Promise<void> {
    const { clock, signal, timeoutMs } = this.#policy;
    const spentMs = clock.monotonicMs() - this.#startMs;
    if (timeoutMs !== undefined && spentMs + delayMs >= timeoutMs) throw reason;
    try {
      await clock.sleep(delayMs, signal);
    } catch (cause) {
      throw signal?.aborted === true ? reason : cause;
    }
  }
}

/** The server unwinds the refused transaction; a retry under the same key waits for that. */
function isRefusedForNow(refusal: ConnectError): boolean {
  const passes =
    refusal.code === Code.Aborted ||
    refusal.code === Code.ResourceExhausted ||
    refusal.code === Code.Unavailable;
  return passes && errorInfo(refusal).rollback !== "needs_operator";
}
