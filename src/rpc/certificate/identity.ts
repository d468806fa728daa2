import { createHash, type X509Certificate } from "node:crypto";

/**
 * The name of the API for its agents. They send it as the server name of TLS, and the API then presents the
 * certificate of its own authority, whatever certificate it has for browsers.
 */
export const API_SERVER_NAME = "api.n0stack.internal";
export const API_URI = "n0stack://api";
const NODE_URI = "n0stack://node/";
const NODE_NAME = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/;

/** Whom a certificate of our authority names. */
export type Identity =
  | { readonly kind: "api" }
  | {
      readonly kind: "node";
      readonly name: string;
    };

/** The checked certificate of the other side of a connection. */
export interface PeerCertificate {
  readonly identity: Identity;
  /** In DER. */
  readonly spki: Uint8Array;
  /** Its hash: see `publicKeyHash`. */
  readonly keyHash: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export function nodeUri(nodeName: string): string {
  return `${NODE_URI}${nodeName}`;
}

/** The SHA-256 of a public key in DER, in base64url. Of the authority's key it is the fingerprint in join tokens. */
export function publicKeyHash(spki: Uint8Array): string {
  return createHash("sha256").update(spki).digest("base64url");
}

/** The same of the key of a certificate. */
export function keyHashOf(certificate: X509Certificate): string {
  return publicKeyHash(spkiOf(certificate));
}

function spkiOf({ publicKey }: X509Certificate): Uint8Array {
  return publicKey.export({ type: "spki", format: "der" });
}

/**
 * Reads a certificate that this authority has signed. It may have expired.
 *
 * @returns undefined for a certificate of another authority, and for one that names nobody of ours.
 */
export function peerCertificateOf(
  certificate: X509Certificate,
  authority: X509Certificate,
): PeerCertificate | undefined {
  if (!certificate.checkIssued(authority) || !certificate.verify(authority.publicKey)) {
    return undefined;
  }
  const identity = identityOf(certificate);
  if (identity === undefined) return undefined;
  const spki = spkiOf(certificate);
  return {
    identity,
    spki,
    keyHash: publicKeyHash(spki),
    notBeforeMs: certificate.validFromDate.getTime(),
    notAfterMs: certificate.validToDate.getTime(),
  };
}

/** The one URI of ours among the names of a certificate. */
function identityOf({ subjectAltName = "" }: X509Certificate): Identity | undefined {
  const uris = subjectAltName.split(", ").filter((name) => name.startsWith("URI:"));
  const uri = uris.length === 1 ? uris[0]!.slice("URI:".length) : "";
  if (uri === API_URI) return { kind: "api" };
  const name = uri.startsWith(NODE_URI) ? uri.slice(NODE_URI.length) : "";
  return NODE_NAME.test(name) ? { kind: "node", name } : undefined;
}

/** For messages: `the API` or `node "n1"`. */
export function identityText(identity: Identity): string {
  return identity.kind === "api" ? "the API" : `node "${identity.name}"`;
}
