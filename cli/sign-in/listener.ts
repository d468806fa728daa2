import process from "node:process";
import { isLoopback } from "../../src/util/loopback.ts";
import { whyUntrusted } from "../../src/util/trusted-socket.ts";
import { portOf } from "../connection.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-code.ts";

/**
 * True for an API that any user of this computer can impersonate while it is down: it has no certificate. Only
 * Linux tells who listens.
 */
function isBare(baseUrl: string): boolean {
  const { protocol, hostname } = new URL(baseUrl);
  return process.platform === "linux" && protocol === "http:" && isLoopback(hostname);
}

/** The other user who serves the API on loopback, if that is neither root nor the current user. */
export function serverUid(baseUrl: string): number | undefined {
  return isBare(baseUrl) ? whyUntrusted(portOf(baseUrl), [])?.uid : undefined;
}

/**
 * The users whose server may get the token of a sign-in, besides root and the current user; undefined if
 * nobody can listen in place of the API.
 *
 * @throws CliError if another user listens there.
 */
export function trustedServers(
  baseUrl: string,
  serverUidBefore: number | undefined,
): readonly number[] | undefined {
  if (!isBare(baseUrl)) return undefined;
  const trusted = serverUidBefore === undefined ? [] : [serverUidBefore];
  const reason = whyUntrusted(portOf(baseUrl), trusted);
  if (reason?.uid === undefined) return trusted;
  throw new CliError(
    `n0cli does not send your sign-in to ${baseUrl}: another user (${reason.uid}) listens there than at the sign-in. ` +
      "If that is your server, run n0cli login again.",
    EXIT.notAllowed,
  );
}
