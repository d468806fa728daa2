import { put } from "../../../datastore/collection.ts";
import { type Datastore, merge } from "../../../datastore/datastore.ts";
import { NOBODY } from "../../../rpc/caller.ts";
import { networkOf } from "../../../rpc/door/token-tries.ts";
import { transactionId } from "../../../transaction/transaction-id.ts";
import type { Clock } from "../../../util/clock.ts";
import type { Log } from "../../../util/log.ts";
import type { Random } from "../../../util/random.ts";
import { type AuditEvent, auditEvents, type NewAuditEvent } from "./record.ts";

const WRITTEN_EVERY_MS = 60_000;
/** Records of one minute: of all callers who are not authenticated, of one who is, and of all those. */
const STRANGERS_MAX = 100;
const CALLER_MAX = 20;
const CALLERS_MAX = 1_000;

export interface AuditEventsOptions {
  readonly datastore: Pick<Datastore, "batch" | "checkRoom">;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly shutdown: AbortSignal;
}

export interface PendingEvent {
  readonly id: string;
  readonly event: AuditEvent;
}

/**
 * Counts sign-ins and refusals in memory, and writes them once a minute in one batch: no answer waits for a
 * write, and no flood makes more than a bounded number of records. A process that dies loses one minute.
 */
export class AuditEvents {
  readonly #options: AuditEventsOptions;
  #pending = new Map<string, PendingEvent>();
  /** The number of pending events of each principal. */
  #counts = new Map<string, number>();
  #taken: ReadonlyMap<string, PendingEvent> = new Map();
  #flushing = Promise.resolve();
  #isScheduled = false;

  constructor(options: AuditEventsOptions) {
    this.#options = options;
  }

  note(event: NewAuditEvent): void {
    const { clock, random } = this.#options;
    const nowMs = clock.nowMs();
    const id = () => transactionId(nowMs, random.uuid());
    this.#add(id, { ...event, firstMs: nowMs, lastMs: nowMs, count: 1 });
    this.#schedule();
  }

  /** Those that are not certainly written. */
  pending(): readonly PendingEvent[] {
    return [...this.#taken.values(), ...this.#pending.values()];
  }

  /** Writes what is pending. What cannot be written now is written with the next ones. */
  async flush(): Promise<void> {
    this.#flushing = this.#flushing.then(() => this.#write());
    await this.#flushing;
  }

  #add(newId: () => string, event: AuditEvent): void {
    const key = keyOf(event);
    const known = this.#pending.get(key);
    if (known !== undefined) {
      this.#pending.set(key, { id: known.id, event: joined(known.event, event) });
      return;
    }
    const { principal = "" } = event.asker;
    if (event.reason !== MORE && !this.#hasRoom(principal)) {
      this.#add(newId, overflowOf(event));
      return;
    }
    this.#counts.set(principal, (this.#counts.get(principal) ?? 0) + 1);
    this.#pending.set(key, { id: newId(), event });
  }

  #hasRoom(principal: string): boolean {
    const count = this.#counts.get(principal) ?? 0;
    if (principal === NOBODY.principal) return count < STRANGERS_MAX;
    return count < CALLER_MAX && this.#pending.size < CALLERS_MAX;
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    const { clock, shutdown } = this.#options;
    clock.sleep(WRITTEN_EVERY_MS, shutdown).then(
      async () => {
        await this.flush();
        this.#isScheduled = false;
        if (this.#pending.size > 0) this.#schedule();
      },
      () => {},
    );
  }

  async #write(): Promise<void> {
    const taken = this.#pending;
    if (taken.size === 0) return;
    this.#taken = taken;
    this.#pending = new Map();
    this.#counts = new Map();
    const { datastore, log } = this.#options;
    try {
      datastore.checkRoom();
      const writes = [...taken.values()].map(({ id, event }) => put(auditEvents, [id], event));
      await datastore.batch(merge(...writes));
      this.#taken = new Map();
    } catch (error) {
      log.warn("cannot write the audit events", { error });
      this.#putBack(taken);
    }
  }

  /** A batch that was written although it failed is written again, under the same ids. */
  #putBack(taken: ReadonlyMap<string, PendingEvent>): void {
    const newer = this.#pending;
    this.#taken = new Map();
    this.#pending = new Map();
    this.#counts = new Map();
    for (const { id, event } of [...taken.values(), ...newer.values()]) this.#add(() => id, event);
  }
}

const MORE = "more";

/** Counts the events for which there is no room. */
function overflowOf({ asker, ...event }: AuditEvent): AuditEvent {
  const { firstMs, lastMs, count } = event;
  const isStranger = asker.principal === NOBODY.principal;
  return {
    kind: "refusal",
    asker: isStranger ? { principal: NOBODY.principal } : {},
    place: "system",
    reason: MORE,
    ...{ firstMs, lastMs, count },
  };
}

/** What one record counts. One host can have all addresses of its network, so they count as one. */
function keyOf({ kind, asker, place, ...facts }: AuditEvent): string {
  const { principal, tokenId, peer = "" } = asker;
  const { rpc, permission, reason, resource, credential } = facts;
  const what = [kind, place, rpc, permission, reason, resource, credential];
  return JSON.stringify([principal, tokenId, networkOf(peer), ...what]);
}

function joined(before: AuditEvent, after: AuditEvent): AuditEvent {
  const { lastMs, expiresMs = before.expiresMs } = after;
  const until = expiresMs === undefined ? {} : { expiresMs };
  return { ...before, ...until, lastMs, count: before.count + after.count };
}
