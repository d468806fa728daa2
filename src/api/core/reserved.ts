/** Who holds a reservation: a user's object, or nobody where a user made it by hand. */
export type Owned = {
  /** Such as `virtual_machine/web-1`. */
  readonly owner: string | null;
  readonly transactionId: string;
};

export type Annotations = { readonly [key: string]: string };

/** What stands under something that must be had once. */
export type UsedBy = { readonly usedBy: string };
