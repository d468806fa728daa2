import { putNew } from "../../../datastore/collection.ts";
import { type Datastore, merge } from "../../../datastore/datastore.ts";
import { datastoreJournal } from "../../../datastore/datastore-journal.ts";
import { keptRequests } from "./kept-request.ts";

/**
 * An older version wrote the record of a request with a key only when it was done. This makes the records of
 * its open requests, so that none of them begins again in the meantime.
 */
export async function keepOlderRequests(datastore: Datastore): Promise<void> {
  const open = await datastoreJournal(datastore).listOpen();
  const made = [];
  for (const { id, requestKey, session, startedAtMs } of open) {
    if (requestKey === undefined || session !== undefined) continue;
    if ((await datastore.get(requestKey)) !== undefined) continue;
    const kept = { transactionId: id, fingerprint: "", startedAtMs };
    made.push(putNew(keptRequests, keptRequests.parts(requestKey), kept));
  }
  if (made.length > 0) await datastore.batch(merge(...made));
}
