import { backoffMs } from "../../util/backoff.ts";
import { type Clock, pause } from "../../util/clock.ts";
import type { Log } from "../../util/log.ts";
import type { Random } from "../../util/random.ts";

/** A failed renewal leaves a third of the lifetime, so nothing is urgent. */
const BACKOFF = { firstMs: 1_000, maxMs: 600_000 };
/** A timer of Node runs for at most 24 days. Also, the clock may be set. */
const SLEEP_MS_MAX = 600_000;

export interface Renewal {
  /** The certificate to be renewed. */
  readonly times: () => { readonly fromMs: number; readonly toMs: number };
  /** Replaces it. */
  readonly renew: (signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Renews a certificate whenever two thirds of its life are over, until the signal aborts. */
export async function keepRenewed(options: Renewal): Promise<void> {
  const { times, renew, clock, random, log, signal } = options;
  let failures = 0;
  while (!signal.aborted) {
    const leftMs = renewAtMs(times()) - clock.nowMs();
    if (leftMs > 0) {
      await pause(clock, Math.min(leftMs, SLEEP_MS_MAX), signal);
      continue;
    }
    try {
      await renew(signal);
      log.info("renewed the certificate", { until: new Date(times().toMs).toISOString() });
      failures = 0;
      // If the clock is far ahead, the new certificate is due as well.
      await pause(clock, BACKOFF.firstMs, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (failures === 0) log.warn("cannot renew the certificate, trying again", { error });
      failures += 1;
      const { fromMs, toMs } = times();
      // Also for a lifetime of seconds, as in tests, there are several tries.
      const maxMs = Math.min(BACKOFF.maxMs, Math.max(200, (toMs - fromMs) / 20));
      const backoff = { firstMs: Math.min(BACKOFF.firstMs, maxMs), maxMs };
      await pause(clock, backoffMs(backoff, failures, random), signal);
    }
  }
}

export function renewAtMs({
  fromMs,
  toMs,
}: {
  readonly fromMs: number;
  readonly toMs: number;
}): number {
  return fromMs + ((toMs - fromMs) * 2) / 3;
}
