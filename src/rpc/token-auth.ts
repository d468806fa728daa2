import { createHash, timingSafeEqual } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import type { HandlerContext } from "@connectrpc/connect";
import { N0Error } from "../util/errors.ts";
import { toConnectError } from "./errors.ts";

const TOKEN_LENGTH_MIN = 16;
const TOKEN_PATTERN = /^[\x21-\x7e]+$/;

/** What probes ask without a token. */
const OPEN_SERVICES: ReadonlySet<string> = new Set(["grpc.health.v1.Health"]);

/**
 * Reads a token file: one line, at least 16 printable characters, readable by its owner alone.
 *
 * @throws N0Error `failed_precondition` naming the file and what to do.
 */
export function readTokenFile(path: string): string {
  const token = contentOf(path).trim();
  if (token.length < TOKEN_LENGTH_MIN || !TOKEN_PATTERN.test(token)) {
    throw new N0Error(
      "failed_precondition",
      `token file ${path}: must hold one line of at least ${TOKEN_LENGTH_MIN} printable characters; ` +
        `make one with: (umask 077; head -c 32 /dev/urandom | base64 > ${path})`,
    );
  }
  return token;
}

function contentOf(path: string): string {
  try {
    if ((statSync(path).mode & 0o077) === 0) return readFileSync(path, "utf8");
  } catch (cause) {
    throw new N0Error("failed_precondition", `token file ${path}: cannot be read`, { cause });
  }
  throw new N0Error(
    "failed_precondition",
    `token file ${path}: others can read it; run: chmod 600 ${path}`,
  );
}

/** Whether an `authorization` header bears the token. Takes the same time whatever the header is. */
export function bearsToken(header: string | null | undefined, token: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  const given = /^bearer +(\S+)$/i.exec(header ?? "")?.[1] ?? "";
  return timingSafeEqual(digest(given), digest(token));
}

/**
 * Asks every RPC except health for the token, before its message is read.
 *
 * @throws ConnectError `unauthenticated`
 */
export function tokenGate(token: string): (context: HandlerContext) => void {
  return (context) => {
    if (OPEN_SERVICES.has(context.service.typeName)) return;
    if (bearsToken(context.requestHeader.get("authorization"), token)) return;
    throw toConnectError(
      new N0Error(
        "unauthenticated",
        "this server asks for a token: send the header `authorization: Bearer <token>`",
      ),
    );
  };
}
