import { auditEvents } from "../src/api/core/audit-event/record.ts";
import { keptRequests } from "../src/api/core/idempotency/kept-request.ts";
import { BUILT_IN_ROLES } from "../src/api/iam/access/built-in-roles.ts";
import { resources } from "../src/api/resources.ts";
import { layout } from "../src/api/scope-migration.ts";
import {
  changesCollection,
  stepCollection,
  transactionCollection,
} from "../src/datastore/datastore-journal.ts";
import { referenceGuards } from "../src/datastore/references.ts";

const PREFIXES = [
  transactionCollection,
  stepCollection,
  changesCollection,
  keptRequests,
  auditEvents,
  referenceGuards,
  layout,
  ...resources.flatMap(({ traces }) => traces),
].map(({ prefix }) => prefix);

/** Whether a record holds history and no object. */
export function isHistory(key: string): boolean {
  return PREFIXES.some((prefix) => key.startsWith(prefix));
}

const ALWAYS_THERE: ReadonlySet<string> = new Set([
  "domain//default",
  "project//default",
  "reference/domain//default/project//default",
  ...BUILT_IN_ROLES.map(({ name }) => `role//${name}`),
]);

/** Whether the API makes the record at its first start. No request makes it, and none can leave it behind. */
export function isAlwaysThere(key: string): boolean {
  return ALWAYS_THERE.has(key);
}
