import type { Clock } from "./clock.ts";

/**
 * Calls `listener` when the signal aborts, and at once if it has aborted already. Disposing of the returned
 * value removes the listener.
 */
export function onAbort(signal: AbortSignal, listener: () => void): Disposable {
  if (signal.aborted) listener();
  else signal.addEventListener("abort", listener, { once: true });
  return { [Symbol.dispose]: () => signal.removeEventListener("abort", listener) };
}

/** A signal that aborts after `timeoutMs`, with the error that `onLate` makes. Disposing of it stops the timer. */
export function abortAfter(
  clock: Clock,
  timeoutMs: number,
  onLate: () => Error,
): Disposable & { readonly signal: AbortSignal } {
  const late = new AbortController();
  const over = new AbortController();
  clock.sleep(timeoutMs, over.signal).then(
    () => late.abort(onLate()),
    () => {},
  );
  return { signal: late.signal, [Symbol.dispose]: () => over.abort() };
}

/** Rejects with the signal's reason when it aborts. Never resolves. */
export function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => void onAbort(signal, () => reject(signal.reason)));
}

/** The result of `work`. Rejects with the signal's reason if that aborts first. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  using _ = onAbort(signal, () => aborted.reject(signal.reason));
  return await Promise.race([work, aborted.promise]);
}

/** The result of `work`; undefined if the signal aborts first. */
export async function firstOf<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  const aborted = Promise.withResolvers<undefined>();
  using _ = onAbort(signal, () => aborted.resolve(undefined));
  return await Promise.race([work, aborted.promise]);
}

/** The result of `work`; if that takes longer than `timeoutMs`, what `onLate` returns or throws. */
export async function within<T, L>(
  clock: Clock,
  work: Promise<T>,
  timeoutMs: number,
  onLate: () => L,
): Promise<T | L> {
  const over = new AbortController();
  try {
    return await Promise.race([work, clock.sleep(timeoutMs, over.signal).then(onLate)]);
  } finally {
    over.abort();
  }
}
