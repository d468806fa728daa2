import { keptRequests } from "../src/api/core/idempotency/kept-request.ts";
import { resources } from "../src/api/resources.ts";
import { layout } from "../src/api/scope-migration.ts";
import { stepCollection, transactionCollection } from "../src/datastore/datastore-journal.ts";
import { referenceGuards } from "../src/datastore/references.ts";

const PREFIXES = [
  transactionCollection,
  stepCollection,
  keptRequests,
  referenceGuards,
  layout,
  ...resources.flatMap(({ traces }) => traces),
].map(({ prefix }) => prefix);

/** Whether a record holds history and no object. */
export function isHistory(key: string): boolean {
  return PREFIXES.some((prefix) => key.startsWith(prefix));
}
