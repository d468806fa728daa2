import { createHash } from "node:crypto";
import type { JWTPayload } from "jose";
import { decodeJwt, errors, jwtVerify } from "jose";
import type { Clock } from "../../../util/clock.ts";
import { N0Error } from "../../../util/errors.ts";
import type { Log } from "../../../util/log.ts";
import { quote } from "../../../util/quote.ts";
import { groupsOf, userNameOf } from "./claims.ts";
import type { KeySet } from "./key-set.ts";
import { newKeySet } from "./key-set.ts";
import type { OidcProvider, VerifiedToken } from "./provider.ts";

const TOKEN_LENGTH_MAX = 16 << 10;
/** Only with a private key of the issuer can somebody make a token. */
const ALGORITHMS = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
];
/** Between the clocks of the issuer and of the API. */
const CLOCK_SKEW_MS = 60_000;
/** ID tokens and access tokens; not those that say that a person has signed out, or that belong to other rules. */
const TYPES: ReadonlySet<string | undefined> = new Set([
  undefined,
  ...["jwt", "at+jwt", "application/at+jwt"],
]);
/** Of one issuer. A token takes as much memory as it has groups. */
const VERIFIED_MAX = 2_000;

export interface TokenVerifier {
  /**
   * What a token says, if one of the providers has signed it for this API and it has not expired. A repeat of
   * a verified token costs no check of its signature.
   *
   * @throws N0Error `unauthenticated` that says what is wrong with it; `unavailable` while the keys of its
   * issuer cannot be fetched.
   */
  verify(token: string): Promise<VerifiedToken>;
}

interface Source {
  readonly provider: OidcProvider;
  readonly keys: KeySet;
  /** The tokens that were verified with this generation of the keys, by their hash; the oldest first. */
  verified: { readonly generation: number; readonly tokens: Map<string, VerifiedToken> };
}

/** @param providers Each of another issuer. */
export function newTokenVerifier(
  providers: readonly OidcProvider[],
  clock: Clock,
  log: Log,
): TokenVerifier {
  const sources = new Map<string, Source>();
  for (const provider of providers) {
    const keys = newKeySet(provider.issuer, clock, log);
    const verified = { generation: 0, tokens: new Map<string, VerifiedToken>() };
    sources.set(provider.issuer, { provider, keys, verified });
  }
  return {
    async verify(token) {
      if (token.length > TOKEN_LENGTH_MAX) throw tooLong();
      const source = sourceOf(sources, token);
      const hash = createHash("sha256").update(token).digest("base64");
      const known = findVerified(source, hash, clock.nowMs());
      if (known !== undefined) return known;
      const claims = await verifiedClaims(source, token, clock.nowMs());
      const verified = readClaims(source.provider, claims);
      remember(source, hash, verified);
      return verified;
    },
  };
}

/** By the issuer that the token claims; the keys of that issuer then show whether that is true. */
function sourceOf(sources: ReadonlyMap<string, Source>, token: string): Source {
  const issuer = claimedIssuer(token);
  const source = sources.get(issuer);
  if (source !== undefined) return source;
  throw refused(`is from the issuer ${quote(issuer)}, from which this API takes none`);
}

function claimedIssuer(token: string): string {
  try {
    return String(decodeJwt(token).iss);
  } catch {
    throw refused("is not a JSON Web Token");
  }
}

function findVerified(source: Source, hash: string, nowMs: number): VerifiedToken | undefined {
  const generation = source.keys.generation();
  if (generation === undefined) return undefined;
  if (source.verified.generation !== generation) {
    source.verified = { generation, tokens: new Map() };
    return undefined;
  }
  const known = source.verified.tokens.get(hash);
  if (known === undefined || nowMs < known.expiresMs) return known;
  source.verified.tokens.delete(hash);
  return undefined;
}

function remember({ keys, verified }: Source, hash: string, result: VerifiedToken): void {
  const { generation, tokens } = verified;
  // The keys may have changed while the signature was checked.
  if (keys.generation() !== generation) return;
  tokens.set(hash, result);
  if (tokens.size > VERIFIED_MAX) tokens.delete(tokens.keys().next().value ?? "");
}

async function verifiedClaims(
  { provider, keys }: Source,
  token: string,
  nowMs: number,
): Promise<JWTPayload> {
  const { issuer, clientId, audiences } = provider;
  try {
    const { payload, protectedHeader } = await jwtVerify(token, (header) => keys.find(header), {
      issuer,
      audience: [clientId, ...audiences],
      algorithms: ALGORITHMS,
      clockTolerance: CLOCK_SKEW_MS / 1000,
      currentDate: new Date(nowMs),
      requiredClaims: ["sub", "exp", "iat"],
    });
    if (!TYPES.has(protectedHeader.typ?.toLowerCase()) || payload["events"] !== undefined) {
      throw refused("is neither an ID token nor an access token");
    }
    if ((payload.iat ?? 0) * 1000 > nowMs + CLOCK_SKEW_MS) throw notYet();
    throwIfForOtherClient(provider, payload);
    return payload;
  } catch (reason) {
    throw reason instanceof N0Error ? reason : explained(reason, provider);
  }
}

/** An ID token may list several clients; then it names the one that it was made for. */
function throwIfForOtherClient({ clientId, audiences }: OidcProvider, payload: JWTPayload): void {
  const given = [payload.aud ?? []].flat();
  const isForApi = audiences.some((audience) => given.includes(audience));
  const client = payload["azp"];
  if (isForApi || client === undefined || client === clientId) return;
  throw refused(`was made for the client ${quote(String(client))}, not for "${clientId}"`);
}

function readClaims(provider: OidcProvider, claims: JWTPayload): VerifiedToken {
  const { sub = "", exp = 0 } = claims;
  return {
    issuer: provider.issuer,
    subject: sub,
    userName: userNameOf(provider, claims),
    groups: groupsOf(provider, claims),
    expiresMs: exp * 1000 + CLOCK_SKEW_MS,
  };
}

function explained(reason: unknown, { issuer, clientId, audiences }: OidcProvider): N0Error {
  const { JWTExpired, JWTClaimValidationFailed, JOSEAlgNotAllowed } = errors;
  if (reason instanceof JWTExpired) {
    return refused("has expired: sign in again with n0cli login", reason);
  }
  if (reason instanceof JWTClaimValidationFailed) {
    const { claim } = reason;
    if (claim === "nbf") return notYet();
    if (claim !== "aud") return refused(`has no valid claim ${quote(claim)}`, reason);
    const ours = [clientId, ...audiences].map((audience) => `"${audience}"`).join(" or ");
    return refused(`is not for the audience ${ours}`, reason);
  }
  if (reason instanceof JOSEAlgNotAllowed) {
    return refused(`must be signed with one of ${ALGORITHMS.join(", ")}`, reason);
  }
  const isOfOtherKey =
    reason instanceof errors.JWKSNoMatchingKey || reason instanceof errors.JWKSMultipleMatchingKeys;
  if (isOfOtherKey) return refused(`names no key that ${issuer} publishes`, reason);
  if (reason instanceof errors.JWSSignatureVerificationFailed) {
    return refused(`was not signed by ${issuer}`, reason);
  }
  return refused("is not a valid JSON Web Token", reason);
}

function notYet(): N0Error {
  return refused("is not valid yet: compare the clocks of the API and of its issuer");
}

function tooLong(): N0Error {
  return refused(
    `has more than ${TOKEN_LENGTH_MAX} bytes: let the provider put fewer claims into it, such as fewer groups`,
  );
}

function refused(why: string, cause?: unknown): N0Error {
  return new N0Error("unauthenticated", `the token ${why}`, { cause });
}
