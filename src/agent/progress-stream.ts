import type { Clock } from "../util/clock.ts";
import { pause } from "../util/clock.ts";
import type { Log } from "../util/log.ts";
import { onAbort } from "../util/race.ts";

/** Often enough for a smooth progress bar, rarely enough that a fast copy does not send a flood. */
export const PROGRESS_INTERVAL_MS = 500;

export interface ProgressStreamOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Aborts when the client hangs up. Then the stream ends, but the work goes on. */
  readonly signal: AbortSignal;
}

/**
 * Starts `work` and yields its progress: the latest value, at most once in PROGRESS_INTERVAL_MS. Returns the
 * result of the work or throws its error. A client that reads slowly, or stops reading, never slows or stops
 * the work.
 */
export async function* progressStream<P, R>(
  options: ProgressStreamOptions,
  work: (onProgress: (progress: P) => void) => Promise<R>,
): AsyncGenerator<P, R> {
  const { clock, log, signal } = options;
  let latest: { readonly progress: P } | undefined;
  let news = Promise.withResolvers<void>();
  const over = new AbortController();
  const stop = () => {
    over.abort();
    news.resolve();
  };

  let outcome: { readonly reason?: unknown } | undefined;
  const result = work((progress) => {
    latest = { progress };
    news.resolve();
  });
  result.then(
    () => {
      outcome = {};
      stop();
    },
    (reason: unknown) => {
      outcome = { reason };
      stop();
    },
  );
  using _ = onAbort(signal, stop);
  try {
    for (;;) {
      await news.promise;
      if (outcome !== undefined) return await result;
      signal.throwIfAborted();
      news = Promise.withResolvers();
      if (latest === undefined) continue;
      const { progress } = latest;
      latest = undefined;
      yield progress;
      // Ends early when the work has ended, or when nobody reads.
      await pause(clock, PROGRESS_INTERVAL_MS, over.signal);
      if (latest !== undefined || over.signal.aborted) news.resolve();
    }
  } finally {
    if (outcome === undefined) tellLater(log, result);
  }
}

/** Logs the end of the work, since no client waits for it. */
function tellLater(log: Log, result: Promise<unknown>): void {
  log.info("the client hung up; its work goes on");
  result.then(
    () => log.info("work succeeded after its client hung up"),
    (error: unknown) => log.info("work failed after its client hung up", { error }),
  );
}
