import type { Datastore } from "../datastore/datastore.ts";
import { pruneHistory } from "../datastore/history.ts";
import { type Clock, pause } from "../util/clock.ts";
import type { Log } from "../util/log.ts";
import { pruneConsoleTokens } from "./console/tokens/tokens.ts";
import { pruneAuditEvents } from "./core/audit-event/prune.ts";
import { pruneKeptRequests } from "./core/idempotency/prune.ts";
import { pruneTokens } from "./iam/token/prune.ts";
import { pruneJoinTokens } from "./pool/certificate/tokens.ts";

const PRUNE_EVERY_MS = 600 * 1000;
/** Until then, who sends an expired token is told that it has expired. */
const EXPIRED_TOKEN_MS = 24 * 3_600_000;

interface PruningOptions {
  readonly datastore: Datastore;
  readonly clock: Clock;
  readonly log: Log;
  readonly historyRetentionMs: number;
  readonly idempotencyRetentionMs: number;
}

/** Deletes old records regularly, until the signal aborts. */
export async function keepPruning(options: PruningOptions, signal: AbortSignal): Promise<void> {
  const { datastore, clock, log, historyRetentionMs, idempotencyRetentionMs } = options;
  const beforeMs = (retentionMs: number) => clock.nowMs() - retentionMs;
  const parts: readonly (readonly [string, () => Promise<unknown>])[] = [
    ["the history", () => pruneHistory(datastore, beforeMs(historyRetentionMs))],
    ["the audit events", () => pruneAuditEvents(datastore, beforeMs(historyRetentionMs))],
    ["the idempotency keys", () => pruneKeptRequests(datastore, beforeMs(idempotencyRetentionMs))],
    ["the API tokens", () => pruneTokens(datastore, beforeMs(EXPIRED_TOKEN_MS))],
    ["the join tokens", () => pruneJoinTokens(datastore, beforeMs(0))],
    ["the console tokens", () => pruneConsoleTokens(datastore, beforeMs(0))],
  ];
  while (!signal.aborted) {
    for (const [what, prune] of parts) {
      await prune().catch((error) => log.warn(`cannot prune ${what}`, { error }));
    }
    await pause(clock, PRUNE_EVERY_MS, signal);
  }
}
