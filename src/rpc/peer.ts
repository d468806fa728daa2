import {
  type ContextKey,
  type ContextValues,
  createContextKey,
  createContextValues,
} from "@connectrpc/connect";
import type { NodeServerRequest } from "./http.ts";

const peerKey: ContextKey<string> = createContextKey("", { description: "address of the client" });

/** What a call is told of the connection that it came by. */
export function valuesOf(request: Pick<NodeServerRequest, "socket">): ContextValues {
  const { remoteAddress = "" } = request.socket;
  return createContextValues().set(peerKey, remoteAddress);
}

/** The address that a call came from; empty within the process. */
export function peerOf(values: ContextValues): string {
  return values.get(peerKey);
}
