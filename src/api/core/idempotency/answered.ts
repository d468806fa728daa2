import type { Writes } from "../../../datastore/datastore.ts";

declare const answered: unique symbol;

/** What a transaction commits. Made by the functions of `answer.ts`, so that no RPC forgets its answer. */
export type Answered = Writes & { readonly [answered]: true };

/** For what no client has asked for, such as a transaction within another. */
export function asAnswered(writes: Writes): Answered {
  return writes as Answered;
}
