import type { Interceptor } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import { systemClock } from "../util/clock.ts";
import { abortAfter } from "../util/race.ts";

/**
 * Ends calls with a single answer after `timeoutMs`, on the client's side, for callers without a deadline.
 * Streams have no limit.
 */
export function unaryTimeoutInterceptor(timeoutMs: number): Interceptor {
  return (next) => async (request) => {
    if (request.stream) return await next(request);
    using late = abortAfter(
      systemClock,
      timeoutMs,
      () => new ConnectError("the operation timed out", Code.DeadlineExceeded),
    );
    return await next({ ...request, signal: AbortSignal.any([request.signal, late.signal]) });
  };
}
