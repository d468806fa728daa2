import type { Stored } from "../../../datastore/records.ts";
import type { Repair } from "./finding.ts";

/** Removes the records if they are still as they were seen. */
export function dropRecords(stored: readonly Stored<unknown>[]): Repair {
  return (tx) =>
    tx.commit({
      deletes: stored.map(({ key }) => key),
      conditions: stored.map(({ key, revision }) => ({ key, revision })),
    });
}
