import type { Collection } from "../../../datastore/collection.ts";
import { keyText } from "../../../datastore/key.ts";
import type { Ownable, UserObject } from "../resource/object.ts";
import type { SharedCode } from "./codes.ts";
import { ANY, type Finding } from "./finding.ts";
import { dropRecords } from "./repairs.ts";
import type { View } from "./view.ts";

/** An object that says PENDING and is nobody's work. @returns undefined for one that is somebody's. */
export function leftPending(
  { records }: View,
  of: Collection<UserObject & Ownable>,
  { name, transactionId }: UserObject & Ownable,
  nodeName: string,
): Finding<SharedCode> | undefined {
  if (records.open.some(({ id }) => id === transactionId)) return undefined;
  return {
    code: "record.pending_without_transaction",
    resource: keyText(of.key(name)),
    nodeName,
    expected: "a state at rest",
    found: `PENDING for transaction "${transactionId}"`,
    keys: [of.key(name)],
  };
}

/** Records that others rest their conditions on, of an object that is gone. */
export function tracesOfNobody(
  { records, isWanted }: View,
  of: Collection<unknown>,
  owners: Collection<unknown>,
): Finding<SharedCode>[] {
  if (!isWanted("")) return [];
  return records.list(of).flatMap((stored) => {
    const name = of.parts(stored.key)[0] ?? "";
    if (records.find(owners, name) !== undefined) return [];
    return [
      {
        code: "allocation.without_owner" as const,
        resource: keyText(owners.key(name)),
        nodeName: "",
        expected: "nothing",
        found: stored.key,
        // Reserving on it may be under way while it is being deleted.
        keys: [owners.key(name), ANY],
        repair: dropRecords([stored]),
      },
    ];
  });
}
