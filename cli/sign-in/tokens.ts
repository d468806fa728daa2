import type { Clock } from "../../src/util/clock.ts";
import type { JsonAnswer } from "../../src/util/json-request.ts";
import { isObject, parseSafeUrl, requestJson } from "../../src/util/json-request.ts";
import { discover } from "../../src/util/oidc-discovery.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-code.ts";
import type { OidcSignIn } from "./stored.ts";

const TIMEOUT_MS = 10_000;
const ANSWER_BYTES_MAX = 256 << 10;
/** The API takes no longer token. A connection may break at an even longer one. */
const TOKEN_LENGTH_MAX = 16 << 10;
/** Only those that the provider knows, because some refuse all others. */
const SCOPES = ["openid", "profile", "email", "groups", "offline_access"];

/** A client of a provider, for people of an API. */
export interface Client {
  readonly endpoint: string;
  readonly issuer: string;
  readonly clientId: string;
  readonly scope: string;
  readonly authorizationUrl: URL | undefined;
  readonly deviceUrl: URL | undefined;
  readonly tokenUrl: URL;
  readonly revocationUrl: URL | undefined;
}

interface Method {
  readonly issuer: string;
  readonly clientId: string;
}

/** @throws CliError if the provider has no safe address for tokens; N0Error if it does not answer. */
export async function openClient(
  endpoint: string,
  { issuer, clientId }: Method,
  clock: Clock,
  signal: AbortSignal,
): Promise<Client> {
  if (parseSafeUrl(issuer) === undefined) {
    throw new CliError(`the API names the issuer ${issuer}, which is not an https:// URL`);
  }
  const found = await discover(issuer, clock, signal);
  const tokenUrl = parseSafeUrl(found["token_endpoint"]);
  if (tokenUrl === undefined) throw new CliError(`${issuer} has no safe token endpoint`);
  const known = found["scopes_supported"];
  const scopes = Array.isArray(known) ? SCOPES.filter((scope) => known.includes(scope)) : SCOPES;
  return {
    endpoint,
    issuer,
    clientId,
    scope: scopes.join(" "),
    authorizationUrl: parseSafeUrl(found["authorization_endpoint"]),
    deviceUrl: parseSafeUrl(found["device_authorization_endpoint"]),
    tokenUrl,
    revocationUrl: parseSafeUrl(found["revocation_endpoint"]),
  };
}

/** Sends a form to the provider. The answer may be an error of OAuth. */
export async function post(
  url: URL,
  form: Readonly<Record<string, string>>,
  clock: Clock,
  signal?: AbortSignal,
): Promise<JsonAnswer> {
  const bounds = { clock, timeoutMs: TIMEOUT_MS, bytesMax: ANSWER_BYTES_MAX };
  return await requestJson(url, { ...bounds, form, ...(signal === undefined ? {} : { signal }) });
}

/** What n0cli keeps, from the answer of the token endpoint. `expected` are claims that the ID token must have. */
export function signInOf(
  client: Client,
  body: JsonAnswer["body"],
  nowMs: number,
  expected: Readonly<Record<string, string>> = {},
): OidcSignIn {
  const { id_token: idToken, refresh_token: refreshToken } = body;
  if (typeof idToken !== "string") throw unusable(client.issuer, "sends no ID token");
  if (idToken.length > TOKEN_LENGTH_MAX) {
    const what = `sends an ID token of ${idToken.length} bytes, and the API takes ${TOKEN_LENGTH_MAX}`;
    throw unusable(client.issuer, `${what}: let it put fewer claims into it, such as fewer groups`);
  }
  const claims = claimsOf(idToken);
  const { iss, aud, sub, exp, iat } = claims;
  const isForUs = iss === client.issuer && [aud].flat().includes(client.clientId);
  const isExpected = Object.entries(expected).every(([name, value]) => claims[name] === value);
  if (!isForUs || !isExpected || typeof sub !== "string") {
    throw unusable(client.issuer, "sends an ID token that is not for this sign-in");
  }
  if (typeof exp !== "number" || typeof iat !== "number") {
    throw unusable(client.issuer, "sends an ID token without times");
  }
  return {
    endpoint: client.endpoint,
    issuer: client.issuer,
    client_id: client.clientId,
    subject: sub,
    token_endpoint: client.tokenUrl.href,
    ...(client.revocationUrl === undefined
      ? {}
      : { revocation_endpoint: client.revocationUrl.href }),
    id_token: idToken,
    ...(typeof refreshToken === "string" ? { refresh_token: refreshToken } : {}),
    stored_ms: nowMs,
    lifetime_ms: (exp - iat) * 1000,
  };
}

/** The claims, unchecked: the token comes from the issuer itself, and the API checks the signature. */
export function claimsOf(idToken: string): Readonly<Record<string, unknown>> {
  try {
    const part = Buffer.from(idToken.split(".")[1] ?? "", "base64url").toString();
    const claims: unknown = JSON.parse(part);
    if (isObject(claims)) return claims;
  } catch {
    // Not a JSON Web Token.
  }
  return {};
}

/** An error of OAuth, such as `access_denied`, with the provider's own text. */
export function oauthError({ status, body }: JsonAnswer): string {
  const { error, error_description: text } = body;
  const words = [error, text].filter((word) => typeof word === "string").join(": ");
  return words === "" ? `status ${status}` : words.slice(0, 300);
}

export function unusable(issuer: string, what: string): CliError {
  return new CliError(`cannot sign in: ${issuer} ${what}`, EXIT.failed);
}
