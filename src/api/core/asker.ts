import { peerOf } from "../../rpc/peer.ts";
import type { Asker } from "../../transaction/journal.ts";
import { defined, nonEmpty } from "../../util/defined.ts";
import { logFields } from "../../util/log.ts";
import type { Call } from "./context.ts";

/** What a client says of itself is kept, but no more of it than this. */
const TEXT_LENGTH_MAX = 128;

/** The address that a call came from; empty within the process. */
export function peerOfCall({ values }: Call): string {
  return values === undefined ? "" : peerOf(values);
}

/** Who sent a request, as far as it can be told. */
export function askerOf(call: Call): Asker {
  const { requestHeader } = call;
  const peer = peerOfCall(call);
  const userAgent = requestHeader.get("user-agent") ?? "";
  const requestId = logFields()["requestId"];
  return {
    ...defined({ peer: nonEmpty(peer) }),
    ...(userAgent === "" ? {} : { userAgent: userAgent.slice(0, TEXT_LENGTH_MAX) }),
    ...(typeof requestId === "string" ? { requestId } : {}),
  };
}
