/** The owner of a reservation: an object of a user, or none if a user made it by hand. */
export type Owned = {
  /** Such as `virtual_machine/web-1`. */
  readonly owner: string | null;
  readonly transactionId: string;
};

export type Annotations = { readonly [key: string]: string };

/** The value of a record that only one object may have. */
export type UsedBy = { readonly usedBy: string };
