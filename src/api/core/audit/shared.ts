import type { AnyCollection, Objects } from "../../../datastore/collection.ts";
import { objectKey, refOfKey } from "../../../datastore/key.ts";
import { formatRef, nodeRef, type Ref } from "../../../util/ref.ts";
import type { Ownable } from "../resource/object.ts";
import type { SharedCode } from "./codes.ts";
import { ANY, type Finding } from "./finding.ts";
import { dropRecords } from "./repairs.ts";
import type { View } from "./view.ts";

/** An object that says PENDING and is nobody's work. @returns undefined for one that is somebody's. */
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

/** Records that others rest their conditions on, of an object that is gone. */
export function tracesOfNobody(
  { records, isWanted }: View,
  of: AnyCollection,
  owners: Objects<unknown>,
): Finding<SharedCode>[] {
  if (!isWanted("")) return [];
  return records.list(of).flatMap((stored) => {
    // What is a node's has the node's name alone in its key.
    const ref = refOfKey(stored.key) ?? nodeRef(of.parts(stored.key)[0]);
    if (records.find(owners, ref) !== undefined) return [];
    return [
      {
        code: "allocation.without_owner" as const,
        resource: formatRef(ref),
        nodeName: "",
        expected: "nothing",
        found: stored.key,
        // Reserving on it may be under way while it is being deleted.
        keys: [objectKey(ref), ANY],
        repair: dropRecords([stored]),
      },
    ];
  });
}
