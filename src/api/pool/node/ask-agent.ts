import { createClient } from "@connectrpc/connect";
import { IdentityAgentService } from "../../../gen/n0stack/agent/v1alpha1/identity_pb.ts";
import { isProof } from "../../../rpc/agent-token.ts";
import { fromConnectError } from "../../../rpc/errors.ts";
import { N0Error } from "../../../util/errors.ts";
import type { Api } from "../context.ts";

/**
 * For the answer of an agent, which needs no work for it. A registration waits this long for a silent address.
 */
const ASK_TIMEOUT_MS = 3_000;
const NONCE_BYTES = 32;
const REASON_LENGTH_MAX = 200;

/** The address that the agent itself gives, or the reason why the node's agent did not answer. */
type Word = { readonly address: string } | { readonly reason: string };

/**
 * Makes sure that a new address of a node is that of its agent. Otherwise anybody could take over a node, or
 * get the agents' token, by naming an address. An agent that has moved confirms its new address itself. If it
 * still answers at the old address, the new one is not its own.
 *
 * @param before The recorded address; undefined for a new node.
 * @throws N0Error `failed_precondition`, also if nobody answers at the new address, unless there is no token
 * with which an agent could prove anything.
 */
export async function throwUnlessAgents(
  api: Api,
  nodeName: string,
  before: string | undefined,
  address: string,
  signal: AbortSignal,
): Promise<void> {
  const mustProve = api.agents.mustProve(nodeName);
  if (before === address || (before === undefined && !mustProve)) return;
  const ask = (at: string) => askAgent(api, nodeName, at, signal);
  const [there, here] = await Promise.all([
    before === undefined ? NOBODY : ask(before),
    ask(address),
  ]);
  if ("address" in there && there.address !== address) {
    throw refusal(
      nodeName,
      `the agent of node "${nodeName}" answers at ${before}, so ${address} belongs to another agent: if it is on ` +
        "another node, start it with another --name; if it is on the same node, end the agent that runs at " +
        `${before} first`,
    );
  }
  if ([there, here].some((word) => "address" in word && word.address === address)) return;
  if (!mustProve) return;
  const why = "reason" in here ? here.reason : `its agent says that its address is ${here.address}`;
  throw refusal(
    nodeName,
    `address: nobody at ${address} proves to be the agent of node "${nodeName}": ${why}. Start the agent ` +
      `first, with the --join of "n0cli node join-token", or with the API's --token-file; it registers by ` +
      "itself, with its --advertise-address",
  );
}

const NOBODY: Word = { reason: "it is new" };

async function askAgent(
  { agents, random, log }: Api,
  nodeName: string,
  at: string,
  signal: AbortSignal,
): Promise<Word> {
  const nonce = Buffer.from(random.token(NONCE_BYTES), "base64url");
  try {
    using way = agents.openUntrusted(at, nodeName);
    const call = { signal, timeoutMs: ASK_TIMEOUT_MS };
    const word = await createClient(IdentityAgentService, way.transport).proveIdentity(
      { nonce },
      call,
    );
    if (word.nodeName !== nodeName)
      return { reason: "the server there is the agent of another node" };
    const { agentToken } = agents;
    if (
      !way.isProven &&
      agentToken !== undefined &&
      !isProof(word.proof, agentToken, nonce, word)
    ) {
      return { reason: "the server there does not have the agents' token" };
    }
    return { address: word.address };
  } catch (error) {
    // The client hung up in the meantime, which is not a bug of ours.
    if (signal.aborted) throw fromConnectError(signal.reason);
    log.debug("no agent answered as the node's", { node: nodeName, address: at, error });
    return { reason: fromConnectError(error).message.slice(0, REASON_LENGTH_MAX) };
  }
}

function refusal(nodeName: string, message: string): N0Error {
  return new N0Error("failed_precondition", message, { resource: `node/${nodeName}` });
}
