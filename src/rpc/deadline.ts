import { Code, ConnectError } from "@connectrpc/connect";
import { onAbort } from "../util/race.ts";

export interface Deadline extends Disposable {
  /** Aborts when a given signal aborts, or when the time is over. */
  readonly signal: AbortSignal;
  /** The remaining time; undefined without a limit. */
  readonly leftMs: () => number | undefined;
  /** The result of `work`, or a ConnectError as soon as the signal aborts. */
  race<T>(work: Promise<T>): Promise<T>;
}

/** Starts a call that ends when any of `signals` aborts, or after the least of `timeoutsMs`. */
export function startDeadline(
  signals: readonly (AbortSignal | undefined)[],
  ...timeoutsMs: readonly (number | undefined)[]
): Deadline {
  const controller = new AbortController();
  const aborted = Promise.withResolvers<never>();
  const giveUp = (reason: unknown) => {
    controller.abort(reason);
    aborted.reject(ConnectError.from(reason, Code.Canceled));
  };
  // Nobody waits for it if the call fails before its work has begun.
  aborted.promise.catch(() => {});

  const listening = new DisposableStack();
  for (const signal of signals) {
    if (signal !== undefined) listening.use(onAbort(signal, () => giveUp(signal.reason)));
  }
  const limitMs = Math.min(...timeoutsMs.filter((ms): ms is number => ms !== undefined && ms > 0));
  const endsAtMs = performance.now() + limitMs;
  const timer = Number.isFinite(limitMs)
    ? setTimeout(
        () => giveUp(new ConnectError("the operation timed out", Code.DeadlineExceeded)),
        limitMs,
      )
    : undefined;
  return {
    signal: controller.signal,
    leftMs: () => (timer === undefined ? undefined : Math.ceil(endsAtMs - performance.now())),
    race: (work) => Promise.race([work, aborted.promise]),
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      listening.dispose();
    },
  };
}
