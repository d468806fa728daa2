import type { Datastore } from "../../../datastore/datastore.ts";

/** A version before kept the CIDRs of networks in records of their own, so that no two overlapped. */
const PREFIXES = ["cidr/", "cidr_allocation/"] as const;

/** Removes the records that nobody reads any more. A database without them costs two empty lists. */
export async function removeFormerCidrs(datastore: Datastore): Promise<void> {
  const found = await Promise.all(PREFIXES.map((prefix) => datastore.list(prefix)));
  const deletes = found.flat().map(({ key }) => key);
  if (deletes.length > 0) await datastore.batch({ deletes });
}
