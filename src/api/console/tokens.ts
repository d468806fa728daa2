import { createHash } from "node:crypto";
import type { Clock } from "../../util/clock.ts";
import { N0Error } from "../../util/errors.ts";
import type { Random } from "../../util/random.ts";

export type TokenPurpose = "vnc" | "download";

const TOKEN_BYTES = 32;
const TOKENS_MAX = 10_000;

/** A screen is opened once, and at once. A download may be interrupted and gone on with. */
const VALID_MS: Readonly<Record<TokenPurpose, number>> = { vnc: 60_000, download: 600_000 };

/**
 * Links that a browser can follow without further authentication. Each is for one purpose and one name,
 * and tells which of the objects that had the name it was issued for; in memory, so that a restart ends
 * them all.
 */
export interface ConsoleTokens {
  /** @throws N0Error `resource_exhausted` when ten thousand are out. */
  issue(purpose: TokenPurpose, name: string, id?: string): string;
  /** The `id` that it was issued with, for as long as it lasts; undefined where it is not good. */
  find(purpose: TokenPurpose, name: string, token: string): string | undefined;
  /** Whether it is good; it is not any more afterwards. */
  take(purpose: TokenPurpose, name: string, token: string): boolean;
}

export function createConsoleTokens(deps: {
  readonly clock: Clock;
  readonly random: Random;
}): ConsoleTokens {
  /** By what the token is a secret for and its hash, so that no comparison tells how near a guess is. */
  const issued = new Map<string, { readonly id: string; readonly expiryMs: number }>();
  const keyOf = (purpose: TokenPurpose, name: string, token: string) =>
    `${purpose} ${name} ${createHash("sha256").update(token).digest("base64url")}`;

  const forgetExpired = () => {
    const nowMs = deps.clock.monotonicMs();
    for (const [key, { expiryMs }] of issued) if (expiryMs <= nowMs) issued.delete(key);
  };
  const find = (key: string) => {
    const found = issued.get(key);
    return found !== undefined && found.expiryMs > deps.clock.monotonicMs() ? found.id : undefined;
  };

  return {
    issue: (purpose, name, id = "") => {
      forgetExpired();
      if (issued.size >= TOKENS_MAX) {
        throw new N0Error("resource_exhausted", "too many console links are open; try again", {
          retryAfterMs: VALID_MS.vnc,
        });
      }
      const token = deps.random.token(TOKEN_BYTES);
      const expiryMs = deps.clock.monotonicMs() + VALID_MS[purpose];
      issued.set(keyOf(purpose, name, token), { id, expiryMs });
      return token;
    },
    find: (purpose, name, token) => find(keyOf(purpose, name, token)),
    take: (purpose, name, token) => {
      const key = keyOf(purpose, name, token);
      const isGood = find(key) !== undefined;
      issued.delete(key);
      return isGood;
    },
  };
}
