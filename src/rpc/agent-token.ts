import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";

const LABEL = "n0stack agent token";
const PROOF_LABEL = "n0stack agent identity";

/**
 * The token that the API sends to agents, and agents to each other, if no file has one. Nobody can compute
 * the operators' token from it.
 */
export function deriveAgentToken(operatorsToken: string): string {
  return Buffer.from(hkdfSync("sha256", operatorsToken, "", LABEL, 32)).toString("base64url");
}

/** What an agent says about itself. */
export interface AgentIdentity {
  readonly nodeName: string;
  /** The address of the agent, exactly as it registers it. */
  readonly address: string;
}

/**
 * Proves that the agent has the agent token, without sending it. The proof is valid only for that name at
 * that address: an impostor that passes the request on to the real agent gets a proof for the real agent's
 * address.
 */
export function proofOf(
  agentToken: string,
  nonce: Uint8Array,
  { nodeName, address }: AgentIdentity,
): Uint8Array<ArrayBuffer> {
  const said = JSON.stringify([PROOF_LABEL, Buffer.from(nonce).toString("hex"), nodeName, address]);
  return new Uint8Array(createHmac("sha256", agentToken).update(said).digest());
}

export function isProof(
  proof: Uint8Array,
  agentToken: string,
  nonce: Uint8Array,
  identity: AgentIdentity,
): boolean {
  const expected = proofOf(agentToken, nonce, identity);
  return proof.length === expected.length && timingSafeEqual(proof, expected);
}
