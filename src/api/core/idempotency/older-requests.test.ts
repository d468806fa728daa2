import { expect, test } from "vitest";
import { put } from "../../../datastore/collection.ts";
import { datastoreJournal } from "../../../datastore/datastore-journal.ts";
import { memoryDatastore } from "../../../datastore/memory/memory-datastore.ts";
import { keptRequests } from "./kept-request.ts";
import { keepOlderRequests } from "./older-requests.ts";

test("what a version before left open under a key has a record from then on, and nothing else changes", async () => {
  const datastore = memoryDatastore();
  const journal = datastoreJournal(datastore);
  const keyOf = (key: string) => keptRequests.key("S.Rpc", key);
  const begin = (id: string, more: { requestKey?: string; session?: string }) =>
    journal.begin({
      ...{ id, kind: "Rpc", guards: [], startedAtMs: 7, state: "running", isCommitted: false },
      ...more,
    });
  await begin("1", { requestKey: keyOf("open") });
  await begin("2", { requestKey: keyOf("answered") });
  await begin("3", {});
  await begin("4", { requestKey: keyOf("new"), session: "s" });
  const answered = { transactionId: "2", fingerprint: "f", startedAtMs: 1, answer: "" };
  await datastore.batch(put(keptRequests, ["S.Rpc", "answered"], answered));
  for (let start = 0; start < 2; start++) {
    await keepOlderRequests(datastore);
    const entries = await datastore.list(keptRequests.prefix);
    expect(entries.map(({ value }) => keptRequests.decode(value))).toEqual([
      answered,
      { transactionId: "1", fingerprint: "", startedAtMs: 7 },
    ]);
  }
});
