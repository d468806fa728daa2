import type { Stored } from "../../../datastore/records.ts";
import type { Repair } from "./finding.ts";

/** Removes the records if they have not changed since they were read. */
export function dropRecords(stored: readonly Stored<unknown>[]): Repair {
  return (tx) =>
    tx.commit({
      deletes: stored.map(({ key }) => key),
      conditions: stored.map(({ key, revision }) => ({ key, revision })),
    });
}
