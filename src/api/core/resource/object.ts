/** The members of every object of a user. */
export interface UserObject {
  readonly name: string;
  readonly labels: { readonly [key: string]: string };
}

/** An object that a transaction can mark as its own for as long as it is open. */
export interface Markable {
  readonly name: string;
  readonly state?: number;
  /** The transaction whose own it is: PENDING, or made or changed by one of its tasks. Empty for none. */
  transactionId: string;
}

/** One that has a state for that. */
export interface Ownable extends Markable {
  readonly state: number;
}
