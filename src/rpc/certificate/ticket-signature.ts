import { type KeyObject, sign, verify } from "node:crypto";

/**
 * The authority signs certificates and tickets with one key. A certificate in DER begins with another byte, so
 * neither can pass for the other.
 */
const PURPOSE = "n0stack ticket\n";
const PARTS = /^([\w-]{1,2048})\.([\w-]{86})$/;

function signedBytes(content: string): Buffer {
  return Buffer.from(PURPOSE + content);
}

/** The content with its signature by a P-256 key: letters, digits, `-`, `_` and one dot. */
export function signedTicket(content: string, key: KeyObject): string {
  const signature = sign("sha256", signedBytes(content), { key, dsaEncoding: "ieee-p1363" });
  return `${Buffer.from(content).toString("base64url")}.${signature.toString("base64url")}`;
}

/** The content of a ticket; undefined if this key has not signed it. */
export function verifiedTicket(ticket: string, key: KeyObject): string | undefined {
  const [, encoded = "", signature = ""] = PARTS.exec(ticket) ?? [];
  if (encoded === "") return undefined;
  const content = Buffer.from(encoded, "base64url").toString();
  const isSigned = verify(
    "sha256",
    signedBytes(content),
    { key, dsaEncoding: "ieee-p1363" },
    Buffer.from(signature, "base64url"),
  );
  return isSigned ? content : undefined;
}
