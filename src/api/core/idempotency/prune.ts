import { ConflictError, type Datastore, type Entry } from "../../../datastore/datastore.ts";
import { openCollection } from "../../../datastore/datastore-journal.ts";
import { defined } from "../../../util/defined.ts";
import { keptRequests } from "./kept-request.ts";

/** The limit for all of them together. Above it, the oldest go before their time. */
const KEPT_BYTES_MAX = 256 << 20;
const PAGE = 100;
const AGE_MS = 60_000;

/**
 * Deletes the records of requests from before `beforeMs`, and more if the rest still exceeds `bytesMax`. The
 * records of open requests stay, because only they keep a request from beginning again.
 *
 * @returns how many it deleted.
 */
export async function pruneKeptRequests(
  datastore: Datastore,
  beforeMs: number,
  bytesMax: number = KEPT_BYTES_MAX,
): Promise<number> {
  // The keys are those of clients and do not sort by time, so the oldest ones are known only after reading all.
  const bytesByMinute = new Map<number, number>();
  for await (const page of pages(datastore)) {
    for (const { startedAtMs, bytes } of page) {
      const minute = Math.floor(startedAtMs / AGE_MS);
      bytesByMinute.set(minute, (bytesByMinute.get(minute) ?? 0) + bytes);
    }
  }
  const oldestMs = Math.max(beforeMs, oldestToKeepMs(bytesByMinute, bytesMax));
  let forgotten = 0;
  for await (const page of pages(datastore)) {
    const old = await atRest(
      datastore,
      page.filter(({ startedAtMs }) => startedAtMs < oldestMs),
    );
    if (await forget(datastore, old)) forgotten += old.length;
  }
  return forgotten;
}

async function atRest<T extends { readonly transactionId: string }>(
  datastore: Datastore,
  kept: readonly T[],
): Promise<readonly T[]> {
  const open = await Promise.all(
    kept.map(({ transactionId }) => datastore.get(openCollection.key(transactionId))),
  );
  return kept.filter((_, i) => open[i] === undefined);
}

/** @returns false if a client is using one of them again. The next call looks at them again. */
async function forget(
  datastore: Datastore,
  old: readonly { readonly key: string; readonly revision: number }[],
): Promise<boolean> {
  const conditions = old.map(({ key, revision }) => ({ key, revision }));
  try {
    if (old.length > 0) await datastore.batch({ deletes: old.map(({ key }) => key), conditions });
    return true;
  } catch (reason) {
    if (reason instanceof ConflictError) return false;
    throw reason;
  }
}

function oldestToKeepMs(bytesByMinute: ReadonlyMap<number, number>, bytesMax: number): number {
  let total = 0;
  for (const minute of [...bytesByMinute.keys()].sort((a, b) => b - a)) {
    total += bytesByMinute.get(minute)!;
    if (total > bytesMax) return (minute + 1) * AGE_MS;
  }
  return Number.NEGATIVE_INFINITY;
}

async function* pages(datastore: Datastore) {
  for (let after: string | undefined; ; ) {
    const page = { limit: PAGE, ...defined({ after }) };
    const entries = await datastore.list(keptRequests.prefix, page);
    yield entries.map(read);
    if (entries.length < PAGE) return;
    after = entries.at(-1)!.key;
    // A list is read at once, so this gives other work its turn.
    await new Promise(setImmediate);
  }
}

function read({ key, value, revision }: Entry) {
  const { startedAtMs, transactionId } = keptRequests.decode(value);
  return { key, revision, startedAtMs, transactionId, bytes: key.length + value.length };
}
