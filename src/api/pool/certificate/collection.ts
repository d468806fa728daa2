import { createHash } from "node:crypto";
import { jsonCollection } from "../../../datastore/collection.ts";

export type JoinTokenRecord = {
  /** The only node that may use it; empty for any new node. */
  readonly nodeName: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  /** The node that has used it, and the hash of its public key. */
  readonly used?: { readonly nodeName: string; readonly keyHash: string };
};

/** By the hash of the secret: nobody can read the secret out of the datastore. */
export const joinTokens = jsonCollection<JoinTokenRecord>("join_token");

export type NodeCertificate = { readonly keyHash: string; readonly notAfterMs: number };

/** By node: the hash of the only public key for which it has certificates, and until when the latest is valid. */
export const nodeCertificates = jsonCollection<NodeCertificate>("node_certificate");

/** By the hash of the public key: until when certificates for it would be valid. */
export const revokedKeys = jsonCollection<RevokedKey>("revoked_key");

export type RevokedKey = { readonly untilMs: number };

export function hashOfSecret(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}
