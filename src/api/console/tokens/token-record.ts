import { jsonCollection } from "../../../datastore/collection.ts";
import type { Ref } from "../../../util/ref.ts";

/** What a link opens: the object with this name and id, and no later one of the same name. */
export interface Linked {
  readonly ref: Ref;
  readonly id: string;
}

/** The facts about a valid link. */
export interface Link {
  readonly id: string;
  /** The address from which a client asked for the link. */
  readonly asker: string;
}

export type TokenRecord = {
  readonly id: string;
  readonly asker: string;
  readonly expiryMs: number;
};

/** By purpose, name and the hash of the token, so that no comparison shows how near a guess is. */
export const consoleTokens = jsonCollection<TokenRecord>("console_token");
