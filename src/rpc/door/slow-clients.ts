import type { NodeServerRequest, NodeServerResponse } from "../http.ts";

/**
 * A client that still sends when it has its answer is read on and forgotten, for at most the time that a
 * request may take: one whose stream is reset meanwhile does not see the answer. HTTP/1 does so by itself.
 */
export function endUnread(request: NodeServerRequest, timeoutMs: number): void {
  if (!("stream" in request)) return;
  const { stream } = request;
  stream.once("finish", () => {
    if (request.readableEnded || stream.destroyed) return;
    request.resume();
    const timer = setTimeout(() => stream.close(), timeoutMs);
    stream.once("close", () => clearTimeout(timer));
  });
}

/** Ends an answer that its client does not take, until `mayTakeLong` is called. */
export function endUntaken(response: NodeServerResponse, timeoutMs: number): void {
  response.setTimeout(timeoutMs, () => {
    const held = "stream" in response ? response.stream : response.socket;
    if (held !== null && held.writableLength > 0) held.destroy();
  });
}

/** Whoever may call may also read slowly: a pager waits for its user. */
export function mayTakeLong(response: NodeServerResponse): void {
  response.setTimeout(0);
}
