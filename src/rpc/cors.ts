import { Code, ConnectError, cors } from "@connectrpc/connect";
import { PROJECT_HEADER } from "../util/project.ts";
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
  PROJECT_HEADER,
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
 * The web pages that may call: those of the listed origins and no others, not even one from another port of
 * this host, because its owner need not be the operator. `*` allows every page.
 */
export function originRule(allowed: readonly string[]): OriginRule {
  if (allowed.includes("*")) return () => true;
  const origins = new Set(allowed.map((origin) => URL.parse(origin)?.origin ?? origin));
  return (origin) => origins.has(origin);
}

/**
 * Admits pages of allowed origins, answers their preflights, and refuses all other pages: a server on
 * loopback may ask for no token, and any page that its user opens can reach it. Clients other than browsers
 * send no `origin` and pass.
 *
 * @returns true if it has answered the request.
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
