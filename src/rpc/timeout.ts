import type { Interceptor } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";

/**
 * Ends calls with a single answer after `timeoutMs`, on the client's side, for callers without a deadline.
 * Streams have no limit.
 */
export function unaryTimeoutInterceptor(timeoutMs: number): Interceptor {
  return (next) => async (request) => {
    if (request.stream) return await next(request);
    const late = new AbortController();
    const error = new ConnectError("the operation timed out", Code.DeadlineExceeded);
    const timer = setTimeout(() => late.abort(error), timeoutMs);
    try {
      return await next({ ...request, signal: AbortSignal.any([request.signal, late.signal]) });
    } finally {
      clearTimeout(timer);
    }
  };
}
