import type { NodeServerResponse } from "../http.ts";

/**
 * Holds at most `max` unauthenticated calls at once. For one more, it ends the oldest. A client that sends
 * its request completely gets its answer in a moment, so the oldest is one that does not, and nobody can
 * take all places.
 */
export function newOpenCalls(max: number): (response: NodeServerResponse) => void {
  const calls = new Set<NodeServerResponse>();
  return (response) => {
    const [oldest] = calls;
    if (oldest !== undefined && calls.size >= max) {
      calls.delete(oldest);
      cut(oldest);
    }
    calls.add(response);
    response.once("close", () => calls.delete(response));
  };
}

/** Ends a call without an answer: its HTTP/2 stream, or its HTTP/1 connection. */
export function cut(response: NodeServerResponse): void {
  const held = "stream" in response ? response.stream : response.socket;
  held?.destroy();
}
