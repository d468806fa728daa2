import { createHash, createPublicKey, sign } from "node:crypto";

/** A JSON Web Signature by an account's P-256 key, as RFC 8555 wants it. */
export function signed(
  key: string,
  header: Readonly<Record<string, unknown>>,
  payload: Readonly<Record<string, unknown>> | undefined,
): string {
  const encodedHeader = encoded(JSON.stringify({ alg: "ES256", ...header }));
  // No payload at all reads an object ("POST-as-GET").
  const encodedPayload = payload === undefined ? "" : encoded(JSON.stringify(payload));
  const signature = sign("sha256", Buffer.from(`${encodedHeader}.${encodedPayload}`), {
    key,
    dsaEncoding: "ieee-p1363",
  });
  return JSON.stringify({
    protected: encodedHeader,
    payload: encodedPayload,
    signature: signature.toString("base64url"),
  });
}

/** The public key of an account. Its members are in the order in which RFC 7638 hashes them. */
export function publicJwk(key: string) {
  const { crv, kty, x, y } = createPublicKey(key).export({ format: "jwk" });
  return { crv, kty, x, y };
}

/** What the answer to a challenge is: it shows that the account asked for it. */
export function keyAuthorization(key: string, token: string): string {
  const thumbprint = createHash("sha256").update(JSON.stringify(publicJwk(key)));
  return `${token}.${thumbprint.digest("base64url")}`;
}

function encoded(text: string): string {
  return Buffer.from(text).toString("base64url");
}
