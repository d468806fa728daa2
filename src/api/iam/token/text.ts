import { createHash, timingSafeEqual } from "node:crypto";
import { N0Error } from "../../../util/errors.ts";

const PREFIX = "n0_";
const TEXT = /^n0_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/;
const TEXT_LENGTH = 63;
const ID_LENGTH = 16;

/** What a client sends as its token. */
export interface TokenText {
  readonly id: string;
  readonly secret: string;
}

/**
 * Undefined for a text that does not begin like an API token.
 *
 * @throws N0Error `unauthenticated` for one that is not complete.
 */
export function parseToken(text: string): TokenText | undefined {
  if (!text.startsWith(PREFIX)) return undefined;
  const [, id, secret] = TEXT.exec(text) ?? [];
  if (id !== undefined && secret !== undefined) return { id, secret };
  throw new N0Error(
    "unauthenticated",
    `the token is damaged: an API token has ${TEXT_LENGTH} characters, and this one has ${text.length}`,
  );
}

export function hashOf(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}

/** The id of a token. Everybody may know it. */
export function idOf(hash: Uint8Array): string {
  return Buffer.from(hash).toString("hex").slice(0, ID_LENGTH);
}

/** Takes the same time for every secret. */
export function isSecretOf(secret: string, hash: Uint8Array): boolean {
  const given = hashOf(secret);
  return given.length === hash.length && timingSafeEqual(given, hash);
}
