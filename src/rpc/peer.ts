import {
  type ContextKey,
  type ContextValues,
  createContextKey,
  createContextValues,
} from "@connectrpc/connect";
import type { NodeServerRequest } from "./http.ts";

const peerKey: ContextKey<string> = createContextKey("", { description: "address of the client" });

/** What a call knows of its connection. */
export function valuesOf(request: Pick<NodeServerRequest, "socket">): ContextValues {
  const { remoteAddress = "" } = request.socket;
  return createContextValues().set(peerKey, remoteAddress);
}

/** The client address of a call; empty within the process. */
export function peerOf(values: ContextValues): string {
  return values.get(peerKey);
}
