import type { JWTPayload } from "jose";
import { N0Error } from "../../../util/errors.ts";
import { quote } from "../../../util/quote.ts";
import type { OidcProvider } from "./provider.ts";

const SUBJECT_LENGTH_MAX = 255;
const GROUPS_MAX = 256;
/** In this order: most providers let people change what they prefer, but none gives a subject twice. */
const USER_CLAIMS = ["preferred_username", "email", "sub"];

/** @throws N0Error `unauthenticated` if the claims name nobody. */
export function userNameOf(provider: OidcProvider, claims: JWTPayload): string {
  const { userClaim } = provider;
  if (typeof claims.sub !== "string" || !isShortText(claims.sub)) {
    throw unusable(`"sub" is not a text of 1 to ${SUBJECT_LENGTH_MAX} characters`);
  }
  const candidates = userClaim === undefined ? USER_CLAIMS : [userClaim];
  const name = candidates.find((claim) => claims[claim] !== undefined);
  const value = name === undefined ? undefined : claims[name];
  if (typeof value !== "string" || !isShortText(value)) {
    throw unusable(
      `${quote(name ?? userClaim ?? "")} is not a text of 1 to ${SUBJECT_LENGTH_MAX} characters`,
    );
  }
  if (name === "email" && claims["email_verified"] === false) {
    throw unusable('"email" is an address that the provider has not verified');
  }
  return value;
}

/** @throws N0Error `unauthenticated` if there are too many, or if they are not a list of texts. */
export function groupsOf({ groupsClaim }: OidcProvider, claims: JWTPayload): readonly string[] {
  const value = claims[groupsClaim];
  if (value === undefined || value === null) return [];
  const groups: unknown[] = Array.isArray(value) ? value : [value];
  if (groups.length > GROUPS_MAX) {
    throw unusable(
      `${quote(groupsClaim)} holds ${groups.length} groups, and may hold ${GROUPS_MAX}: let the provider send ` +
        "only groups that n0stack uses",
    );
  }
  return groups.map((group) => {
    if (typeof group === "string") return group;
    throw unusable(`${quote(groupsClaim)} is not a list of texts`);
  });
}

function isShortText(text: string): boolean {
  return text !== "" && text.length <= SUBJECT_LENGTH_MAX;
}

function unusable(what: string): N0Error {
  return new N0Error("unauthenticated", `the token's claim ${what}`);
}
