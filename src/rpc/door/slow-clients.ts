import type { NodeServerRequest, NodeServerResponse } from "../http.ts";
import type { Budget } from "./budget.ts";
import { cut } from "./open-calls.ts";

/**
 * A client that still sends when it has its answer is read on and forgotten, for at most the time that a
 * request may take: one whose stream is reset meanwhile does not see the answer. Where `places` are all
 * taken it is reset, for each such stream costs some ten KiB. HTTP/1 does so by itself.
 */
export function endUnread(request: NodeServerRequest, timeoutMs: number, places: Budget): void {
  if (!("stream" in request)) return;
  const { stream } = request;
  stream.once("finish", () => {
    if (request.readableEnded || stream.destroyed) return;
    try {
      places.take(1);
    } catch {
      return stream.close();
    }
    request.resume();
    const timer = setTimeout(() => stream.close(), timeoutMs);
    stream.once("close", () => {
      clearTimeout(timer);
      places.give(1);
    });
  });
}

/** Ends an answer that its client does not take, until `mayTakeLong` is called. */
export function endUntaken(response: NodeServerResponse, timeoutMs: number): void {
  response.setTimeout(timeoutMs, () => {
    const held = "stream" in response ? response.stream : response.socket;
    if ((held?.writableLength ?? 0) > 0) cut(response);
  });
}

/** Whoever may call may also read slowly: a pager waits for its user. */
export function mayTakeLong(response: NodeServerResponse): void {
  response.setTimeout(0);
}
