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
 * Links that a browser can follow without further authentication. Each is for one purpose and one
 * object; in memory, so that a restart ends them all.
 */
export interface ConsoleTokens {
  /** @throws N0Error `resource_exhausted` when ten thousand are out. */
  issue(purpose: TokenPurpose, name: string): string;
  /** Whether it is good, for as long as it lasts. */
  isValid(purpose: TokenPurpose, name: string, token: string): boolean;
  /** Whether it is good; it is not any more afterwards. */
  take(purpose: TokenPurpose, name: string, token: string): boolean;
}

export function createConsoleTokens(deps: {
  readonly clock: Clock;
  readonly random: Random;
}): ConsoleTokens {
  /** By what the token is a secret for and its hash, so that no comparison tells how near a guess is. */
  const expiries = new Map<string, number>();
  const keyOf = (purpose: TokenPurpose, name: string, token: string) =>
    `${purpose} ${name} ${createHash("sha256").update(token).digest("base64url")}`;

  const forgetExpired = () => {
    const nowMs = deps.clock.monotonicMs();
    for (const [key, expiryMs] of expiries) if (expiryMs <= nowMs) expiries.delete(key);
  };
  const isValid = (key: string) => (expiries.get(key) ?? 0) > deps.clock.monotonicMs();

  return {
    issue: (purpose, name) => {
      forgetExpired();
      if (expiries.size >= TOKENS_MAX) {
        throw new N0Error("resource_exhausted", "too many console links are open; try again", {
          retryAfterMs: VALID_MS.vnc,
        });
      }
      const token = deps.random.token(TOKEN_BYTES);
      expiries.set(keyOf(purpose, name, token), deps.clock.monotonicMs() + VALID_MS[purpose]);
      return token;
    },
    isValid: (purpose, name, token) => isValid(keyOf(purpose, name, token)),
    take: (purpose, name, token) => {
      const key = keyOf(purpose, name, token);
      const valid = isValid(key);
      expiries.delete(key);
      return valid;
    },
  };
}
