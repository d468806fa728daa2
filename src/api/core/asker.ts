import { callerOf } from "../../rpc/caller.ts";
import { peerOf } from "../../rpc/peer.ts";
import type { Asker } from "../../transaction/journal.ts";
import { defined, nonEmpty } from "../../util/defined.ts";
import { logFields } from "../../util/log.ts";
import { type LinkCaller, linkCaller } from "./console-links.ts";
import type { Call } from "./context.ts";
import { whereOf } from "./where.ts";

/** The process itself. */
const SYSTEM_CALLER: { readonly principal: string; readonly tokenId?: string } = {
  principal: "system",
};

/** The API keeps at most this much of the client's own description. */
const TEXT_LENGTH_MAX = 128;

/** The address of the caller; empty within the process. */
export function peerOfCall({ values }: Call): string {
  return values === undefined ? "" : peerOf(values);
}

/** The caller for whom a link is made; undefined within the process. */
export function linkCallerOf({ values }: Call): LinkCaller | undefined {
  return values === undefined ? undefined : linkCaller(callerOf(values));
}

/** Who sent a request, as far as known. */
export function askerOf(call: Call): Asker {
  const { requestHeader, values } = call;
  const peer = peerOfCall(call);
  const userAgent = requestHeader.get("user-agent") ?? "";
  const requestId = logFields()["requestId"];
  const { principal, tokenId } = values === undefined ? SYSTEM_CALLER : callerOf(values);
  return {
    principal,
    ...defined({ tokenId }),
    ...(values === undefined ? {} : { project: whereOf(values).project }),
    ...defined({ peer: nonEmpty(peer) }),
    ...(userAgent === "" ? {} : { userAgent: userAgent.slice(0, TEXT_LENGTH_MAX) }),
    ...(typeof requestId === "string" ? { requestId } : {}),
  };
}
