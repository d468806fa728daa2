import { hash, timingSafeEqual } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { systemClock } from "../util/clock.ts";
import { N0Error } from "../util/errors.ts";
import { ADMINISTRATOR, type Authenticate, type Caller } from "./caller.ts";
import type { Refusals } from "./door/refusals.ts";
import { factsOf } from "./door/refusals.ts";
import { newTokenTries } from "./door/token-tries.ts";
import { toConnectError } from "./errors.ts";
import type { NodeServerRequest, NodeServerResponse } from "./http.ts";
import { type Refusal, refuse } from "./refuse.ts";
import type { PeerToken } from "./transport.ts";

const TOKEN_LENGTH_MIN = 16;
const TOKEN_PATTERN = /^[\x21-\x7e]+$/;

/**
 * Reads a token file: one line of at least 16 printable characters, which only its owner can read.
 *
 * @throws N0Error `failed_precondition` that names the file and what to do.
 */
export function readTokenFile(path: string): PeerToken {
  const { content, ownerUid } = readOwnersAlone(path);
  const token = content.trim();
  if (token.length < TOKEN_LENGTH_MIN || !TOKEN_PATTERN.test(token)) {
    throw new N0Error(
      "failed_precondition",
      `token file ${path}: must hold one line of at least ${TOKEN_LENGTH_MIN} printable characters; ` +
        `make one with: (umask 077; head -c 32 /dev/urandom | base64 > ${path})`,
    );
  }
  return { value: token, ownerUid };
}

function readOwnersAlone(path: string): { readonly content: string; readonly ownerUid: number } {
  try {
    const { mode, uid } = statSync(path);
    if ((mode & 0o077) === 0) return { content: readFileSync(path, "utf8"), ownerUid: uid };
  } catch (cause) {
    throw new N0Error("failed_precondition", `token file ${path}: cannot be read`, { cause });
  }
  throw new N0Error(
    "failed_precondition",
    `token file ${path}: others can read it; run: chmod 600 ${path}`,
  );
}

/** The token of an `authorization` header; empty if there is none. */
export function tokenOf(header: string | undefined): string {
  return /^bearer +(\S+)$/i.exec(header ?? "")?.[1] ?? "";
}

/** Has the same length for every text, so a comparison takes the same time. */
function digestOf(text: string): Buffer {
  return hash("sha256", text, "buffer");
}

/** Calls `admit` with the caller of the request, now or later, or refuses the request. */
export type Gate = (
  request: NodeServerRequest,
  response: NodeServerResponse,
  admit: (caller: Caller) => void,
) => void;

/** Admits everybody as the administrator. */
export const openGate: Gate = (_request, _response, admit) => admit(ADMINISTRATOR);

export interface TokenGateOptions {
  /** The administrator's token. */
  readonly token: string;
  readonly authenticate: Authenticate | undefined;
  readonly refusals: Refusals;
}

/**
 * Checks the token before anything else of a request is read. An address with many calls without the right
 * one must wait. The right token still passes, because several clients can share that address.
 */
export function tokenGate({ token, authenticate, refusals }: TokenGateOptions): Gate {
  const tries = newTokenTries(systemClock);
  const digest = digestOf(token);
  return (request, response, admit) => {
    const { authorization } = request.headers;
    const peer = request.socket.remoteAddress ?? "";
    const given = tokenOf(authorization);
    const isInUrl = TOKEN_IN_URL.test(request.url ?? "");
    const refused = (error?: N0Error) => {
      const facts = factsOf(request);
      const reason = authorization === undefined ? "no token" : "wrong token";
      refusals.note(isInUrl ? "token in a URL" : reason, facts);
      const waitMs = tries.failed(facts.peer);
      const refusal = error === undefined ? ASKING : because(error);
      refuse(request, response, waitMs > 0 ? tooManyTries(waitMs) : refusal);
    };
    if (isInUrl) return refused(IN_URL);
    if (hasSeveralTokens(request)) return refused(SEVERAL);
    if (timingSafeEqual(digestOf(given), digest)) return admit(ADMINISTRATOR);
    const found = given === "" ? undefined : trying(() => authenticate?.(given, peer));
    const decide = (caller: Caller | N0Error | undefined) => {
      if (caller === undefined || caller instanceof N0Error) refused(caller);
      else admit(caller);
    };
    if (found instanceof Promise) found.then(decide, (reason) => decide(refusalOf(reason)));
    else decide(found);
  };
}

/** Node shows only the first one, and a proxy may have looked at another. */
function hasSeveralTokens({ rawHeaders }: NodeServerRequest): boolean {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    if (name.length === AUTHORIZATION.length && name.toLowerCase() === AUTHORIZATION) count += 1;
  }
  return count > 1;
}

function trying<T>(work: () => T): T | N0Error {
  try {
    return work();
  } catch (reason) {
    return refusalOf(reason);
  }
}

function refusalOf(reason: unknown): N0Error {
  if (reason instanceof N0Error) return reason;
  return new N0Error("unavailable", "the token cannot be checked now: try again", {
    cause: reason,
    retryAfterMs: 1_000,
  });
}

const AUTHORIZATION = "authorization";
const SEVERAL = new N0Error(
  "unauthenticated",
  `the request has several headers \`${AUTHORIZATION}\`: send one`,
);

const TOKEN_IN_URL = /[?&](?:access_token|id_token|token|authorization|bearer)=/i;
/** Refused also beside the right header, so that nobody gets used to it. */
const IN_URL = new N0Error(
  "unauthenticated",
  "the request has a token in its URL, and URLs end up in logs and histories: " +
    "revoke that token, and send a new one in the header `authorization: Bearer <token>`",
);

const ASKING: Refusal = because(
  new N0Error(
    "unauthenticated",
    "this server asks for a token: send the header `authorization: Bearer <token>`",
  ),
);

function because(error: N0Error): Refusal {
  const isUnavailable = error.kind === "unavailable";
  return {
    status: isUnavailable ? 503 : 401,
    error: toConnectError(error),
    headers: isUnavailable ? {} : { "www-authenticate": "Bearer" },
  };
}

function tooManyTries(waitMs: number): Refusal {
  const seconds = Math.ceil(waitMs / 1000);
  const message =
    "this server asks for a token, and too many calls from your address came without the right " +
    `one: send it in the header \`authorization: Bearer <token>\`, or wait ${seconds} s`;
  const error = new N0Error("resource_exhausted", message, { retryAfterMs: waitMs });
  return {
    status: 429,
    error: toConnectError(error),
    headers: { "retry-after": String(seconds) },
  };
}
