import { create } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { put, putOf, unchanged } from "../../../datastore/collection.ts";
import { ConflictError, caughtUp, merge, type Writes } from "../../../datastore/datastore.ts";
import type { Stored } from "../../../datastore/records.ts";
import { referenceWrites, referrersOf, referTo } from "../../../datastore/references.ts";
import { type Token, TokenSchema } from "../../../gen/n0stack/iam/v1alpha1/token_pb.ts";
import { N0Error } from "../../../util/errors.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import type { Api } from "../context.ts";
import { ownerRef } from "../owner.ts";
import { tokens, withoutToken } from "../token/collection.ts";
import { idOf } from "../token/text.ts";
import { users } from "../user/collection.ts";
import { type Password, passwords } from "./collection.ts";

const LIFETIME_MS = 12 * 3_600_000;
const SESSIONS_OF_USER_MAX = 20;
const TRIES_MAX = 5;

/** The tokens that a user got by signing in with his password. */
export async function sessionsOf({ records }: Pick<Api, "records">, user: Ref) {
  const refs = await referrersOf(records, user, { kind: tokens.kind });
  const found = await Promise.all(refs.map((ref) => records.find(tokens, ref)));
  return found.filter((one): one is Stored<Token> => one?.value.isSession === true);
}

/** For the batch that changes the password. */
export function withoutSessions(sessions: readonly Stored<Token>[]): Writes {
  return merge(...sessions.map(withoutToken));
}

interface Opened {
  readonly user: Ref;
  readonly secretSha256: Uint8Array;
  /** The hash that the client's password has. */
  readonly rightHash: string;
  /** A better hash of the same password. */
  readonly newHash: string | undefined;
}

/**
 * Makes the token of a session, in one batch with all that ends for it. The batch rewrites the password: so of
 * this and of a change of the password at the same time, one sees the other.
 *
 * @throws N0Error `aborted` if the password has changed meanwhile; `already_exists` for another's token.
 */
export async function openSession(api: Api, opened: Opened): Promise<Token> {
  for (let tries = 1; ; tries += 1) {
    try {
      const { token, writes } = await newSession(api, opened);
      await api.datastore.batch(writes);
      // The gate finds the token in memory.
      await caughtUp(api.datastore);
      return token;
    } catch (reason) {
      if (!(reason instanceof ConflictError)) throw reason;
      if (tries >= TRIES_MAX) throw changing(opened.user);
    }
  }
}

async function newSession(api: Api, { user, secretSha256, rightHash, newHash }: Opened) {
  const { records, clock } = api;
  const password = await records.find(passwords, user);
  const owner = await records.find(users, user);
  if (password?.value.hash !== rightHash || owner === undefined) throw changing(user);
  const name = idOf(secretSha256);
  const ref = ownerRef(tokens.kind, name);
  const principal = formatRef(user);
  const before = await records.find(tokens, ref);
  if (before !== undefined && !isSameSession(before.value, principal, secretSha256)) {
    throw new N0Error("already_exists", `token ${name} exists already: make another secret`, {
      resource: formatRef(ref),
    });
  }
  const nowMs = clock.nowMs();
  const token = create(TokenSchema, {
    ...{ name, principal, secretSha256, isSession: true },
    createdAt: timestampFromMs(nowMs),
    expiresAt: timestampFromMs(nowMs + LIFETIME_MS),
  });
  const others = (await sessionsOf(api, user)).filter((one) => one.value.name !== name);
  const signedIn: Password = {
    ...password.value,
    hash: newHash ?? rightHash,
    signedInAtMs: nowMs,
  };
  const key = tokens.key(ref);
  const writes = merge(
    put(passwords, [user], signedIn),
    unchanged(passwords, [user], password.revision),
    { puts: [putOf(tokens, key, token)] },
    unchanged(tokens, [ref], before?.revision ?? 0),
    referenceWrites(tokens, key, before?.value, token),
    referTo(owner.key, owner.revision),
    withoutSessions(oldest(others, others.length + 1 - SESSIONS_OF_USER_MAX)),
  );
  return { token, writes };
}

function isSameSession(before: Token, principal: string, secretSha256: Uint8Array): boolean {
  const isOwn = before.isSession && before.principal === principal;
  return isOwn && Buffer.compare(before.secretSha256, secretSha256) === 0;
}

function oldest(sessions: readonly Stored<Token>[], count: number): readonly Stored<Token>[] {
  const madeMs = ({ value }: Stored<Token>) =>
    value.createdAt === undefined ? 0 : timestampMs(value.createdAt);
  return sessions.toSorted((a, b) => madeMs(a) - madeMs(b)).slice(0, Math.max(0, count));
}

function changing(user: Ref): N0Error {
  const message = `the password of user "${user.name}" has just changed: sign in again`;
  return new N0Error("aborted", message, { retryAfterMs: 100, resource: formatRef(user) });
}
