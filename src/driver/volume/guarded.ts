import { N0Error } from "../../util/errors.ts";

export interface GuardOptions {
  /** Longest wait for the next bytes. */
  readonly idleTimeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * The same chunks; ends with an error once the signal aborts or no chunk comes for too long.
 *
 * @throws N0Error `unavailable` when the source stops giving any.
 */
export async function* guarded(
  bytes: AsyncIterable<Uint8Array>,
  { signal, idleTimeoutMs }: GuardOptions,
): AsyncGenerator<Uint8Array> {
  const iterator = bytes[Symbol.asyncIterator]();
  let isDone = false;
  try {
    for (;;) {
      const next = await within(iterator.next(), idleTimeoutMs, signal);
      if (next.done === true) {
        isDone = true;
        return;
      }
      yield next.value;
    }
  } finally {
    // Not awaited: a source that hangs in `next` would hang here too. Its own end is its own affair.
    if (!isDone) iterator.return?.().catch(() => {});
  }
}

function within<T>(promise: Promise<T>, timeoutMs: number, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    };
    const onAbort = () => {
      end();
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      end();
      reject(new N0Error("unavailable", `the source gave no bytes for ${timeoutMs / 1000} s`));
    }, timeoutMs);
    signal.addEventListener("abort", onAbort, { once: true });
    promise.finally(end).then(resolve, reject);
    if (signal.aborted) onAbort();
  });
}
