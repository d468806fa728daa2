import {
  type ContextKey,
  type ContextValues,
  createContextKey,
  createContextValues,
} from "@connectrpc/connect";
import { type Caller, setCaller } from "./caller.ts";
import type { NodeServerRequest } from "./http.ts";

const peerKey: ContextKey<string> = createContextKey("", { description: "address of the client" });

/** What a call knows of its connection and its caller. */
export function valuesOf(
  request: Pick<NodeServerRequest, "socket">,
  caller: Caller,
): ContextValues {
  const { remoteAddress = "" } = request.socket;
  const values = createContextValues().set(peerKey, remoteAddress);
  setCaller(values, caller);
  return values;
}

/** The client address of a call; empty within the process. */
export function peerOf(values: ContextValues): string {
  return values.get(peerKey);
}
