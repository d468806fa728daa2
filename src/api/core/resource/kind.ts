import type { Collection } from "../../../datastore/collection.ts";

/** What every object of a user's has. */
export interface UserObject {
  readonly name: string;
  readonly labels: { readonly [key: string]: string };
}

/** An object that a transaction can mark as its own for as long as it is open. */
export interface Ownable {
  readonly name: string;
  readonly state: number;
  /** The transaction that has it PENDING; empty for none. */
  readonly transactionId: string;
}

/** A resource, as far as core and the operations on other resources need to know it. */
export interface Kind {
  /** What its records begin with, such as `virtual_machine`. */
  readonly kind: string;
  /** One object in a text for people, such as "virtual machine". */
  readonly word: string;
  /** The objects, by name. Written under their lock only. */
  readonly collection: Collection<UserObject>;
  /** What else is written down for it, such as its reservations. */
  readonly records: readonly Collection<unknown>[];
  /** Records of how things came about rather than of what there is, such as what others are conditional on. */
  readonly traces: readonly Collection<unknown>[];
  /** Those of its objects that a transaction can mark as its own, and the state that says so. */
  readonly pending?: { readonly of: Collection<Ownable>; readonly state: number };
  /** The RPCs that give room back on the datastore's disk, or on a node's, which may be the same one. */
  readonly givesRoom: readonly string[];
}
