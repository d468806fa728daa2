import type { NodeServerResponse } from "../http.ts";

/**
 * Holds at most `max` calls of strangers at once. For one more, the oldest is cut: whoever sends its request
 * whole has its answer in a moment, so that is one that does not, and nobody can take all places.
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

/** Ends an answer without one: the stream of HTTP/2, of HTTP/1 the connection. */
export function cut(response: NodeServerResponse): void {
  const held = "stream" in response ? response.stream : response.socket;
  held?.destroy();
}
