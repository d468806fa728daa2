import type { NodeServerRequest, NodeServerResponse } from "../http.ts";
import type { Budget } from "./budget.ts";
import { cut } from "./open-calls.ts";

/**
 * If a client still sends after its answer, reads on and drops the bytes, for at most the time that a
 * request may take, because a client whose stream is reset does not see the answer. If all `places` are
 * taken, resets the stream, because each costs some ten KiB. HTTP/1 does this by itself.
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

/** Ends an answer that its client does not read, unless `mayTakeLong` was called. */
export function endUntaken(response: NodeServerResponse, timeoutMs: number): void {
  response.setTimeout(timeoutMs, () => {
    const held = "stream" in response ? response.stream : response.socket;
    if ((held?.writableLength ?? 0) > 0) cut(response);
  });
}

/** An authenticated client may read slowly, as a pager that waits for its user. */
export function mayTakeLong(response: NodeServerResponse): void {
  response.setTimeout(0);
}
