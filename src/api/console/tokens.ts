import { createHash } from "node:crypto";
import type { Clock } from "../../util/clock.ts";
import type { Random } from "../../util/random.ts";

export type TokenPurpose = "vnc" | "download";

const TOKEN_BYTES = 32;
const TOKENS_MAX = 10_000;
const TOKENS_OF_ASKER_MAX = 1_000;

/** A screen is opened once, and at once. A download may be interrupted and gone on with. */
const VALID_MS: Readonly<Record<TokenPurpose, number>> = { vnc: 60_000, download: 600_000 };

/** What a link opens: the object of that name which has this id, and no later one of the same name. */
export interface Linked {
  readonly name: string;
  readonly id: string;
}

/** What is known of a link that is good. */
export interface Link {
  readonly id: string;
  /** The address that the link was asked for from. */
  readonly asker: string;
}

/**
 * Links that a browser can follow without further authentication. Each is for one purpose and one object;
 * in memory, so that a restart ends them all. There are ten thousand at most, and a thousand of one asker:
 * a new one takes the place of the oldest of that asker, or of whoever has most.
 */
export interface ConsoleTokens {
  issue(purpose: TokenPurpose, linked: Linked, asker: string): string;
  /** For as long as it lasts; undefined where it is not good. */
  find(purpose: TokenPurpose, name: string, token: string): Link | undefined;
  /** The same, once: it is not good any more afterwards. */
  take(purpose: TokenPurpose, name: string, token: string): Link | undefined;
}

interface Issued extends Link {
  readonly expiryMs: number;
}

export function createConsoleTokens(deps: {
  readonly clock: Clock;
  readonly random: Random;
}): ConsoleTokens {
  /** By what the token is a secret for and its hash, so that no comparison tells how near a guess is. */
  const issued = new Map<string, Issued>();
  /** The keys of each asker, the oldest first. */
  const byAsker = new Map<string, Set<string>>();
  const keyOf = (purpose: TokenPurpose, name: string, token: string) =>
    `${purpose} ${name} ${createHash("sha256").update(token).digest("base64url")}`;

  const forget = (key: string, { asker }: Issued) => {
    issued.delete(key);
    const own = byAsker.get(asker);
    own?.delete(key);
    if (own?.size === 0) byAsker.delete(asker);
  };
  const forgetExpired = () => {
    const nowMs = deps.clock.monotonicMs();
    for (const [key, link] of issued) if (link.expiryMs <= nowMs) forget(key, link);
  };
  const forgetOldestOf = (asker: string) => {
    const [key] = byAsker.get(asker) ?? [];
    const link = key === undefined ? undefined : issued.get(key);
    if (key !== undefined && link !== undefined) forget(key, link);
  };
  const makeRoom = (asker: string) => {
    if ((byAsker.get(asker)?.size ?? 0) >= TOKENS_OF_ASKER_MAX) forgetOldestOf(asker);
    if (issued.size < TOKENS_MAX) return;
    const [most] = [...byAsker].reduce((a, b) => (b[1].size > a[1].size ? b : a));
    forgetOldestOf(most);
  };
  const find = (key: string): Link | undefined => {
    const found = issued.get(key);
    return found !== undefined && found.expiryMs > deps.clock.monotonicMs() ? found : undefined;
  };

  return {
    issue: (purpose, { name, id }, asker) => {
      forgetExpired();
      makeRoom(asker);
      const token = deps.random.token(TOKEN_BYTES);
      const key = keyOf(purpose, name, token);
      const expiryMs = deps.clock.monotonicMs() + VALID_MS[purpose];
      issued.set(key, { id, asker, expiryMs });
      const own = byAsker.get(asker) ?? new Set();
      byAsker.set(asker, own.add(key));
      return token;
    },
    find: (purpose, name, token) => find(keyOf(purpose, name, token)),
    take: (purpose, name, token) => {
      const key = keyOf(purpose, name, token);
      const found = find(key);
      const link = issued.get(key);
      if (link !== undefined) forget(key, link);
      return found;
    },
  };
}
