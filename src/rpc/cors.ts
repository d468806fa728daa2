import { Code, ConnectError, cors } from "@connectrpc/connect";
import { quote } from "../util/quote.ts";
import { TRANSACTION_HEADER } from "./errors.ts";
import type { NodeServerRequest, NodeServerResponse } from "./http.ts";
import { VERSION_HEADER } from "./http.ts";
import { REQUEST_ID_HEADER } from "./log-interceptor.ts";
import { refuse } from "./refuse.ts";

const ALLOWED_HEADERS = [
  ...cors.allowedHeaders,
  "authorization",
  "idempotency-key",
  REQUEST_ID_HEADER,
].join(", ");
const EXPOSED_HEADERS = [
  ...cors.exposedHeaders,
  TRANSACTION_HEADER,
  REQUEST_ID_HEADER,
  VERSION_HEADER,
].join(", ");
/** Chromium remembers a preflight for two hours at most. */
const MAX_AGE_SECONDS = 7200;

export type OriginRule = (origin: string) => boolean;

/**
 * Which web pages may call: those of the listed origins and no other, not even one that is served
 * from this machine: whoever runs something on some port of it is not its operator. `*` allows every
 * page there is.
 */
export function originRule(allowed: readonly string[]): OriginRule {
  if (allowed.includes("*")) return () => true;
  const origins = new Set(allowed.map((origin) => URL.parse(origin)?.origin ?? origin));
  return (origin) => origins.has(origin);
}

/**
 * Lets the browser pages of allowed origins call, answers their preflights, and refuses all other
 * pages: a server on loopback asks for no token, and any page that its user opens can reach it.
 * Clients that are no browsers send no `origin` and pass.
 *
 * @returns true when the request has been answered.
 */
export function answerCors(
  request: NodeServerRequest,
  response: NodeServerResponse,
  isAllowed: OriginRule,
  onRefused: () => void,
): boolean {
  const { origin } = request.headers;
  if (origin === undefined) return false;
  response.setHeader("vary", "origin");
  if (!isAllowed(origin)) {
    onRefused();
    const message = `origin ${quote(origin)} is not allowed (cors-origins)`;
    const error = new ConnectError(message, Code.PermissionDenied);
    refuse(request, response, { status: 403, error });
    return true;
  }
  response.setHeader("access-control-allow-origin", origin);
  response.setHeader("access-control-expose-headers", EXPOSED_HEADERS);
  if (request.method !== "OPTIONS") return false;
  response.writeHead(204, {
    "access-control-allow-methods": cors.allowedMethods.join(", "),
    "access-control-allow-headers": ALLOWED_HEADERS,
    "access-control-max-age": String(MAX_AGE_SECONDS),
  });
  response.end();
  return true;
}
