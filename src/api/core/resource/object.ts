/** The members of every object of a user. */
export interface UserObject {
  readonly name: string;
  readonly labels: { readonly [key: string]: string };
}

/** An object that a transaction can mark as its own for as long as it is open. */
export interface Ownable {
  readonly name: string;
  readonly state: number;
  /** The transaction that made it PENDING; empty for none. */
  readonly transactionId: string;
}
