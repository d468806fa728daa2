import type { Clock } from "./clock.ts";
import { N0Error } from "./errors.ts";
import { requestJson } from "./json-request.ts";

const TIMEOUT_MS = 5_000;
const BYTES_MAX = 256 << 10;

/**
 * What an OIDC issuer says of itself: OpenID Connect Discovery 1.0.
 *
 * @throws N0Error `unavailable` if the issuer does not say it.
 */
export async function discover(
  issuer: string,
  clock: Clock,
  signal?: AbortSignal,
): Promise<Readonly<Record<string, unknown>>> {
  const url = new URL(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
  const document = await getJson(url, clock, signal);
  if (document["issuer"] === issuer) return document;
  throw new N0Error("unavailable", `the discovery document of ${issuer} is of another issuer`);
}

/** @throws N0Error `unavailable` for any answer but an object of JSON with status 200. */
export async function getJson(
  url: URL,
  clock: Clock,
  signal?: AbortSignal,
): Promise<Readonly<Record<string, unknown>>> {
  const bounds = { clock, timeoutMs: TIMEOUT_MS, bytesMax: BYTES_MAX };
  const { status, body } = await requestJson(url, signal ? { ...bounds, signal } : bounds);
  if (status === 200) return body;
  throw new N0Error("unavailable", `${url.href} answers status ${status}`);
}
