import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";

const LABEL = "n0stack agent token";
const PROOF_LABEL = "n0stack agent identity";

/**
 * What the API sends to agents, and agents to each other, where no file says it: whoever is sent it cannot
 * tell the operators' token from it.
 */
export function deriveAgentToken(operatorsToken: string): string {
  return Buffer.from(hkdfSync("sha256", operatorsToken, "", LABEL, 32)).toString("base64url");
}

/** What an agent says of itself. */
export interface AgentIdentity {
  readonly nodeName: string;
  /** Where the agent is called, exactly as it registers. */
  readonly address: string;
}

/**
 * Proves that the agent holds the agent token, without telling it. It holds for that name at that address
 * alone: whoever passes the question on to the real agent gets a proof of the real agent's address.
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
