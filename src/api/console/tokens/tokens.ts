import { createHash } from "node:crypto";
import { type KeyParts, put, unchanged } from "../../../datastore/collection.ts";
import { ConflictError, type Datastore, merge } from "../../../datastore/datastore.ts";
import { Records, type Stored } from "../../../datastore/records.ts";
import type { Clock } from "../../../util/clock.ts";
import { defined } from "../../../util/defined.ts";
import type { Random } from "../../../util/random.ts";
import { nameOnNode, type Ref } from "../../../util/ref.ts";
import type { LinkCaller } from "../../core/console-links.ts";
import { IssuedTokens } from "./issued-tokens.ts";
import { consoleTokens, type Link, type Linked, type TokenRecord } from "./token-record.ts";

export type TokenPurpose = "vnc" | "download";

const TOKEN_BYTES = 32;
/** The number of expired tokens that one batch deletes. */
const PRUNED_MAX = 1_000;

/** A screen is opened once, and at once. A download may be interrupted and continued. */
const VALID_MS: Readonly<Record<TokenPurpose, number>> = { vnc: 60_000, download: 600_000 };

/**
 * Links that a browser can follow without further authentication. Each is for one purpose and one object.
 * They are records, so that every API process accepts them. There are at most ten thousand tokens, and at most
 * a thousand of one asker. A new token replaces the oldest one of that asker, or of the asker with the most.
 */
export interface ConsoleTokens extends Disposable {
  /** @param caller default: the administrator. */
  issue(purpose: TokenPurpose, linked: Linked, asker: string, caller?: LinkCaller): Promise<string>;
  /** Returns the link of a token that is valid, and undefined for any other token. */
  find(purpose: TokenPurpose, ref: Ref, token: string): Promise<Link | undefined>;
  /** Like `find`, and deletes the token: of several callers only one gets the link. */
  take(purpose: TokenPurpose, ref: Ref, token: string): Promise<Link | undefined>;
}

export async function openConsoleTokens(deps: {
  readonly datastore: Datastore;
  readonly clock: Pick<Clock, "nowMs">;
  readonly random: Random;
}): Promise<ConsoleTokens> {
  const { datastore, clock, random } = deps;
  const records = new Records(datastore);
  const issued = await IssuedTokens.open(datastore);
  const partsOf = (purpose: TokenPurpose, ref: Ref, token: string) =>
    [purpose, nameOnNode(ref), createHash("sha256").update(token).digest("base64url")] as const;
  const find = async (parts: KeyParts<string>): Promise<Stored<TokenRecord> | undefined> => {
    const stored = await records.find(consoleTokens, ...parts);
    return stored !== undefined && stored.value.expiryMs > clock.nowMs() ? stored : undefined;
  };

  return {
    issue: async (purpose, { ref, id }, asker, caller) => {
      const nowMs = clock.nowMs();
      const token = random.token(TOKEN_BYTES);
      const parts = partsOf(purpose, ref, token);
      const expiryMs = nowMs + VALID_MS[purpose];
      const record = { id, asker, ...defined({ caller }), expiryMs };
      // One durable write, whatever must be deleted for it.
      const deletes = issued.makeRoom(consoleTokens.key(...parts), record, nowMs);
      await datastore.batch(merge(put(consoleTokens, parts, record), { deletes }));
      return token;
    },
    find: async (purpose, ref, token) => (await find(partsOf(purpose, ref, token)))?.value,
    take: async (purpose, ref, token) => {
      const parts = partsOf(purpose, ref, token);
      const found = await find(parts);
      if (found === undefined) return undefined;
      const condition = unchanged(consoleTokens, parts, found.revision);
      try {
        await datastore.batch(merge({ deletes: [found.key] }, condition));
        return found.value;
      } catch (reason) {
        if (reason instanceof ConflictError) return undefined;
        throw reason;
      }
    },
    [Symbol.dispose]: () => issued[Symbol.dispose](),
  };
}

/** Deletes the tokens that expired before `beforeMs`. */
export async function pruneConsoleTokens(datastore: Datastore, beforeMs: number): Promise<void> {
  const entries = await datastore.list(consoleTokens.prefix);
  const expired = entries.filter(({ value }) => consoleTokens.decode(value).expiryMs <= beforeMs);
  for (let i = 0; i < expired.length; i += PRUNED_MAX) {
    await datastore.batch({ deletes: expired.slice(i, i + PRUNED_MAX).map(({ key }) => key) });
  }
}
