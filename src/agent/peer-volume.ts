import { fromConnectError } from "../rpc/errors.ts";
import { N0Error } from "../util/errors.ts";
import type { AgentDeps } from "./agent-deps.ts";

/**
 * A volume of another node as one self-contained qcow2 file. It is read from the agent of that node only as
 * fast as the caller reads. `onTotal` is called with its size before the first bytes.
 *
 * @throws N0Error while it is read: `failed_precondition` if the volume does not exist; `unavailable` if the
 * agent does not answer or stops in the middle.
 */
export async function* readPeerVolume(
  connect: () => ReturnType<AgentDeps["connectPeer"]>,
  address: string,
  { id, ticket }: { readonly id: string; readonly ticket: string },
  signal: AbortSignal,
  onTotal: (totalBytes: bigint) => void,
): AsyncGenerator<Uint8Array, void> {
  let totalBytes: bigint | undefined;
  let readBytes = 0n;
  try {
    for await (const message of connect().readVolume({ id, ticket }, { signal })) {
      if (totalBytes === undefined) {
        totalBytes = message.totalBytes;
        onTotal(totalBytes);
      }
      readBytes += BigInt(message.data.length);
      if (message.data.length > 0) yield message.data;
    }
  } catch (reason) {
    signal.throwIfAborted();
    throw peerError(address, reason);
  }
  if (readBytes === totalBytes) return;
  throw new N0Error("unavailable", `the agent at ${address} stopped in the middle of the volume`);
}

function peerError(address: string, cause: unknown): N0Error {
  const { kind, message } = fromConnectError(cause);
  if (kind === "unimplemented") {
    const text =
      `the server at ${address} is not an agent: if it is "n0core serve standalone", no other node can read its ` +
      `block storages; run "n0core serve api" and "n0core serve agent" there instead`;
    return new N0Error("failed_precondition", text, { cause });
  }
  // The caller is not at fault in either case: the volume should exist, and its agent is one of ours.
  const ours = kind === "not_found" || kind === "invalid_argument" ? "failed_precondition" : kind;
  return new N0Error(ours, `the agent at ${address}: ${message}`, { cause });
}
