import type { Collection } from "../../../datastore/collection.ts";
import { defined } from "../../../util/defined.ts";
import type { Api } from "../../provisioning/context.ts";

/** The number of records that are read at a time. */
const BATCH = 256;

/** Records whose ids sort by time, the newest first, from the one before `before` on. */
export async function* newestRecords<T>(
  api: Pick<Api, "datastore">,
  of: Collection<T>,
  before: string | undefined,
): AsyncGenerator<{ readonly id: string; readonly value: T }> {
  let after = before === undefined ? undefined : of.key(before);
  for (;;) {
    const page = { limit: BATCH, isDescending: true, ...defined({ after }) };
    // Not through the cache of records, which the history would fill.
    const entries = await api.datastore.list(of.prefix, page);
    for (const { key, value } of entries) yield { id: of.parts(key)[0], value: of.decode(value) };
    if (entries.length < BATCH) return;
    after = entries.at(-1)!.key;
    await new Promise(setImmediate);
  }
}
