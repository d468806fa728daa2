import { jsonCollection } from "../../../datastore/collection.ts";

/** What a link opens: the object of that name which has this id, and no later one of the same name. */
export interface Linked {
  readonly name: string;
  readonly id: string;
}

/** What is known of a link that is good. */
export interface Link {
  readonly id: string;
  /** The address that the link was asked for from. */
  readonly asker: string;
}

export type TokenRecord = {
  readonly id: string;
  readonly asker: string;
  readonly expiryMs: number;
};

/** By purpose, name and the hash of the token, so that no comparison tells how near a guess is. */
export const consoleTokens = jsonCollection<TokenRecord>("console_token");
