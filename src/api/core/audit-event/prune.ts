import type { Datastore, Entry } from "../../../datastore/datastore.ts";
import { timePrefix } from "../../../transaction/transaction-id.ts";
import { defined } from "../../../util/defined.ts";
import { auditEvents } from "./record.ts";

export const AUDIT_EVENTS_MAX = 100_000;
const BATCH = 500;

/**
 * Deletes the events before `beforeMs` and, while there are more than `max`, the oldest of the principals who
 * have the most. So whoever causes many loses only his own. All callers who are not authenticated count as one.
 */
export async function pruneAuditEvents(
  datastore: Datastore,
  beforeMs: number,
  max = AUDIT_EVENTS_MAX,
): Promise<void> {
  const firstKey = auditEvents.key(timePrefix(Math.max(0, beforeMs)));
  const counts = new Map<string, number>();
  for await (const page of pages(datastore)) {
    const deletes = page.map(({ key }) => key).filter((key) => key < firstKey);
    if (deletes.length > 0) await datastore.batch({ deletes });
    for (const entry of page.slice(deletes.length)) {
      const principal = principalOf(entry);
      counts.set(principal, (counts.get(principal) ?? 0) + 1);
    }
  }
  const share = shareOf([...counts.values()], max);
  const beyond = new Map([...counts].map(([principal, count]) => [principal, count - share]));
  if ([...beyond.values()].every((count) => count <= 0)) return;
  for await (const page of pages(datastore)) {
    const deletes = page.filter((entry) => {
      const principal = principalOf(entry);
      const left = beyond.get(principal) ?? 0;
      beyond.set(principal, left - 1);
      return left > 0;
    });
    if (deletes.length > 0) await datastore.batch({ deletes: deletes.map(({ key }) => key) });
  }
}

/** What each may have at most, so that all together have at most `max`. */
export function shareOf(counts: readonly number[], max: number): number {
  let left = max;
  for (const [index, count] of counts.toSorted((a, b) => a - b).entries()) {
    const share = Math.floor(left / (counts.length - index));
    if (count > share) return share;
    left -= count;
  }
  return max;
}

/** The oldest first. */
async function* pages(datastore: Datastore): AsyncGenerator<readonly Entry[]> {
  let after: string | undefined;
  for (;;) {
    const page = await datastore.list(auditEvents.prefix, { limit: BATCH, ...defined({ after }) });
    yield page;
    if (page.length < BATCH) return;
    after = page.at(-1)!.key;
    await new Promise(setImmediate);
  }
}

function principalOf({ value }: Entry): string {
  return auditEvents.decode(value).asker.principal ?? "";
}
