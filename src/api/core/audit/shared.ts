import type { AnyCollection, Objects } from "../../../datastore/collection.ts";
import { objectKey, refOfKey } from "../../../datastore/key.ts";
import { formatRef, nodeRef, type Ref } from "../../../util/ref.ts";
import type { Ownable } from "../resource/object.ts";
import type { SharedCode } from "./codes.ts";
import { ANY, type Finding } from "./finding.ts";
import { dropRecords } from "./repairs.ts";
import type { View } from "./view.ts";

/** An object that is PENDING without a transaction. @returns undefined if a transaction works on it. */
export function leftPending(
  { records }: View,
  ref: Ref,
  { transactionId }: Ownable,
  nodeName: string,
): Finding<SharedCode> | undefined {
  if (records.open.some(({ id }) => id === transactionId)) return undefined;
  return {
    code: "record.pending_without_transaction",
    resource: formatRef(ref),
    nodeName,
    expected: "a state at rest",
    found: `PENDING for transaction "${transactionId}"`,
    keys: [objectKey(ref)],
  };
}

/** Records for the conditions of others, of an object that does not exist any more. */
export function tracesOfNobody(
  { records, isWanted }: View,
  of: AnyCollection,
  owners: Objects<unknown>,
): Finding<SharedCode>[] {
  if (!isWanted("")) return [];
  return records.list(of).flatMap((stored) => {
    // A record of a node has only the node's name in its key.
    const ref = refOfKey(stored.key) ?? nodeRef(of.parts(stored.key)[0]);
    if (records.find(owners, ref) !== undefined) return [];
    return [
      {
        code: "allocation.without_owner" as const,
        resource: formatRef(ref),
        nodeName: "",
        expected: "nothing",
        found: stored.key,
        // While the node is being deleted, another transaction may still reserve on it.
        keys: [objectKey(ref), ANY],
        repair: dropRecords([stored]),
      },
    ];
  });
}
