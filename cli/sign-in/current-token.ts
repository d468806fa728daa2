import type { Clock } from "../../src/util/clock.ts";
import { N0Error } from "../../src/util/errors.ts";
import { parseSafeUrl } from "../../src/util/json-request.ts";
import type { Random } from "../../src/util/random.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-code.ts";
import { withLockFile } from "./lock-file.ts";
import type { OidcSignIn, PasswordSignIn, StoredSignIn } from "./stored.ts";
import { isSession, readSignIn, writeSignIn } from "./stored.ts";
import { oauthError, post, signInOf } from "./tokens.ts";

/** A token must still be valid when it arrives. */
const MARGIN_MS = 30_000;

interface Deps {
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Answers the token of a sign-in. Refreshes an ID token when it is about to expire. Of several n0cli at the same
 * time, one refreshes it: most providers end a sign-in whose refresh token is used twice.
 *
 * @throws CliError if one must sign in again.
 */
export function tokenSource(path: string, deps: Deps): () => Promise<string> {
  let known: StoredSignIn | undefined;
  let running: Promise<string> | undefined;

  async function find(): Promise<string> {
    known ??= await read(path);
    if (isSession(known)) return sessionToken(known, deps.clock);
    if (isFresh(known, deps.clock)) return known.id_token;
    known = await withLockFile(`${path}.lock`, deps, async () => {
      const now = await read(path);
      return isSession(now) || isFresh(now, deps.clock) ? now : await refreshed(path, now, deps);
    });
    return isSession(known) ? sessionToken(known, deps.clock) : known.id_token;
  }

  return () => {
    running ??= find().finally(() => {
      running = undefined;
    });
    return running;
  };
}

function sessionToken(signIn: PasswordSignIn, clock: Clock): string {
  const { session_token: token, principal, stored_ms: storedMs, lifetime_ms: lifetimeMs } = signIn;
  // The API itself says it of a session that ends earlier, or by another clock.
  if (clock.nowMs() - storedMs < lifetimeMs) return token;
  throw new CliError(
    `the session of ${principal} has ended: run n0cli login --user ${principal.split("/").at(-1)}`,
    EXIT.notAllowed,
  );
}

async function read(path: string): Promise<StoredSignIn> {
  const signIn = await readSignIn(path);
  if (signIn !== undefined) return signIn;
  throw new CliError("you have signed out: run n0cli login", EXIT.notAllowed);
}

function leftMs({ stored_ms: storedMs, lifetime_ms: lifetimeMs }: StoredSignIn, clock: Clock) {
  const ageMs = clock.nowMs() - storedMs;
  // The clock was set back, so nobody knows how old it is.
  return ageMs < 0 ? 0 : lifetimeMs - ageMs;
}

function isFresh(signIn: StoredSignIn, clock: Clock): boolean {
  return leftMs(signIn, clock) > MARGIN_MS;
}

async function refreshed(
  path: string,
  signIn: OidcSignIn,
  { clock, random }: Deps,
): Promise<OidcSignIn> {
  const { issuer, client_id: clientId, refresh_token: refreshToken, subject } = signIn;
  const tokenUrl = parseSafeUrl(signIn.token_endpoint);
  if (refreshToken === undefined || tokenUrl === undefined) {
    if (leftMs(signIn, clock) > 0) return signIn;
    throw ended(`your sign-in at ${issuer} has expired`);
  }
  const form = { grant_type: "refresh_token", refresh_token: refreshToken, client_id: clientId };
  let answer: Awaited<ReturnType<typeof post>>;
  try {
    answer = await post(tokenUrl, form, clock);
  } catch (reason) {
    if (leftMs(signIn, clock) > 0) return signIn;
    if (!(reason instanceof N0Error)) throw reason;
    throw new CliError(`cannot refresh your sign-in: ${reason.message}`, EXIT.failed, reason);
  }
  if (answer.status !== 200) throw ended(`${issuer} does not refresh it: ${oauthError(answer)}`);
  const revocationUrl = parseSafeUrl(signIn.revocation_endpoint);
  const client = {
    ...{ endpoint: signIn.endpoint, issuer, clientId, scope: "", tokenUrl, revocationUrl },
    ...{ authorizationUrl: undefined, deviceUrl: undefined },
  };
  const fresh = signInOf(client, answer.body, clock.nowMs(), { sub: subject });
  const { server_uid } = signIn;
  const kept = server_uid === undefined ? {} : { server_uid };
  const next = { refresh_token: refreshToken, ...kept, ...fresh };
  await writeSignIn(path, next, random);
  return next;
}

function ended(why: string): CliError {
  return new CliError(`your sign-in has ended (${why}): run n0cli login`, EXIT.notAllowed);
}
