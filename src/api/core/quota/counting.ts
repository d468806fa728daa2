import type { Collection, Objects } from "../../../datastore/collection.ts";
import type { Part } from "../../../datastore/key.ts";
import { parseRef } from "../../../util/ref.ts";
import type { Amounts } from "./amounts.ts";

/** What one record takes of a quota. */
export interface Share {
  readonly project: string;
  /**
   * The shares of a group count once, for the largest amounts: a block storage that is being moved has a
   * reservation on two nodes.
   */
  readonly group: string;
  readonly amounts: Amounts;
}

/** How the records of one collection count. */
export interface Counting {
  readonly prefix: string;
  /** @returns undefined for a record that counts for no project. */
  shareOf(key: string, bytes: Uint8Array): Share | undefined;
}

/** Counts each object. @param counts the amounts, or a function if they depend on the object. */
export function countObjects<T>(
  of: Objects<T>,
  counts: Amounts | ((object: T) => Amounts),
): Counting {
  return {
    prefix: of.prefix,
    shareOf(key, bytes) {
      const amounts = typeof counts === "function" ? counts(of.decode(bytes)) : counts;
      return { project: of.refOf(key).scope, group: key, amounts };
    },
  };
}

/** Counts reservations. Those that a user made by hand have no owner, and count for no project. */
export function countReservations<T extends { readonly owner: string | null }>(
  of: Collection<T, Part>,
  amountsOf: (reservation: T) => Amounts,
): Counting {
  return {
    prefix: of.prefix,
    shareOf(_key, bytes) {
      const reservation = of.decode(bytes);
      const owner = parseRef(reservation.owner ?? "");
      if (owner === undefined) return undefined;
      const group = `${of.prefix}${owner.kind}/${owner.name}`;
      return { project: owner.scope, group, amounts: amountsOf(reservation) };
    },
  };
}
