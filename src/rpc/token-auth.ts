import { createHash, timingSafeEqual } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { systemClock } from "../util/clock.ts";
import { N0Error } from "../util/errors.ts";
import type { Refusals } from "./door/refusals.ts";
import { factsOf } from "./door/refusals.ts";
import { newTokenTries } from "./door/token-tries.ts";
import { toConnectError } from "./errors.ts";
import type { NodeServerRequest } from "./http.ts";
import type { Refusal } from "./refuse.ts";
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

/** True if an `authorization` header has the token. Takes the same time for every header. */
export function bearsToken(header: string | null | undefined, token: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  const given = /^bearer +(\S+)$/i.exec(header ?? "")?.[1] ?? "";
  return timingSafeEqual(digest(given), digest(token));
}

/** @returns the refusal of a request without the token; undefined for a request with it. */
export type TokenGate = (
  request: Pick<NodeServerRequest, "headers" | "socket" | "url">,
) => Refusal | undefined;

/**
 * Checks the token before anything else of a request is read. An address with many calls without it must
 * wait. The right token still passes, because several clients can share that address.
 */
export function tokenGate(token: string, refusals: Refusals): TokenGate {
  const tries = newTokenTries(systemClock);
  return (request) => {
    const { authorization } = request.headers;
    if (bearsToken(authorization, token)) return undefined;
    const facts = factsOf(request);
    refusals.note(authorization === undefined ? "no token" : "wrong token", facts);
    const waitMs = tries.failed(facts.peer);
    return waitMs > 0 ? tooManyTries(waitMs) : ASKING;
  };
}

const ASKING: Refusal = {
  status: 401,
  error: toConnectError(
    new N0Error(
      "unauthenticated",
      "this server asks for a token: send the header `authorization: Bearer <token>`",
    ),
  ),
  headers: { "www-authenticate": "Bearer" },
};

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
