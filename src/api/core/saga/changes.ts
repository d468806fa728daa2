import { put } from "../../../datastore/collection.ts";
import type { Writes } from "../../../datastore/datastore.ts";
import { changesCollection, type RecordChange } from "../../../datastore/datastore-journal.ts";
import { objectKey } from "../../../datastore/key.ts";
import type { Later } from "../../../transaction/step.ts";
import type { Api, Kind, Tx } from "../context.ts";

/**
 * Whether a transaction of tasks can change the objects of this kind: a project holds them, and they give no rights.
 * What such a transaction has changed can be undone later.
 */
export function isOfTasks({ withProject, pending }: Kind): boolean {
  return withProject !== undefined && pending !== undefined;
}

/**
 * The record of what a transaction changes, for a later undo, as a part of its commit: all noted records before, and as
 * they are when it is at rest. Nothing for a transaction that changes none that can be undone. See docs/adr/0074.
 */
export async function changesWritten(
  { id, context: { api, held } }: Tx,
  writes: Writes,
  laters: readonly Later[],
): Promise<Writes> {
  const after = afterCommit(api, writes, laters);
  const records: RecordChange[] = [];
  const otherKinds = new Set<string>();
  for (const [key, before] of held.noted()) {
    const kind = api.kinds.find((one) => isOf(one, key));
    if (kind === undefined) continue;
    if (!isOfTasks(kind)) {
      otherKinds.add(kind.kind);
      continue;
    }
    const was = before === undefined ? null : textOf(before());
    const is = await after(key);
    if (was !== is) records.push({ key, before: was, after: is });
  }
  if (records.length === 0) return {};
  // Nobody undoes it then. But an undo of an earlier transaction names it.
  const named = records.map(({ key }) => ({ key, before: null, after: null }));
  const kept = otherKinds.size === 0 ? records : named;
  return put(changesCollection, [id], { records: kept, otherKinds: [...otherKinds] });
}

function isOf({ collection, records }: Kind, key: string): boolean {
  if (key.startsWith(collection.prefix)) return true;
  return records.some(({ prefix }) => key.startsWith(prefix));
}

/** How records are when a transaction with this commit is at rest, in base64; null for none. */
export function afterCommit(
  { engine, datastore }: Api,
  { puts = [], deletes = [] }: Writes,
  laters: readonly Later[],
): (key: string) => Promise<string | null> {
  const known = new Map<string, string | null>();
  for (const key of deletes) known.set(key, null);
  for (const { key, value } of puts) known.set(key, textOf(value));
  for (const { name, input } of laters) {
    const settled = engine.registry.retriable(name).settles?.(input);
    if (settled !== undefined) known.set(objectKey(settled.ref), settled.after);
  }
  return async (key) => {
    const written = known.get(key);
    if (written !== undefined) return written;
    // A task or a step has written it before the commit.
    const present = await datastore.get(key);
    return present === undefined ? null : textOf(present.value);
  };
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
