import type { Clock } from "../util/clock.ts";
import { pause } from "../util/clock.ts";
import type { Log } from "../util/log.ts";
import { onAbort } from "../util/race.ts";

/** Often enough for a bar that moves; rare enough that a fast copy sends no flood. */
export const PROGRESS_INTERVAL_MS = 500;

export interface ProgressStreamOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** The client's interest. When it ends the stream ends; the work does not. */
  readonly signal: AbortSignal;
}

/**
 * Starts `work` and yields its progress, at most one in PROGRESS_INTERVAL_MS, the latest; returns what
 * the work resolves to, or throws what it rejects with. A client that reads slowly, or no more, never
 * slows or stops the work.
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
      // Cut short when the work has ended, or nobody reads.
      await pause(clock, PROGRESS_INTERVAL_MS, over.signal);
      if (latest !== undefined || over.signal.aborted) news.resolve();
    }
  } finally {
    if (outcome === undefined) tellLater(log, result);
  }
}

/** Nobody else hears how the work ends. */
function tellLater(log: Log, result: Promise<unknown>): void {
  log.info("the client hung up; its work goes on");
  result.then(
    () => log.info("work whose client had hung up is done"),
    (error: unknown) => log.info("work whose client had hung up failed", { error }),
  );
}
