import { jsonCollection } from "../../../datastore/collection.ts";
import type { Ref } from "../../../util/ref.ts";
import type { LinkCaller } from "../../core/console-links.ts";

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
  /** Who asked. Undefined in a link of an older version, which only the administrator could ask for. */
  readonly caller?: LinkCaller;
}

export type TokenRecord = {
  readonly id: string;
  readonly asker: string;
  readonly caller?: LinkCaller;
  readonly expiryMs: number;
};

/** By purpose, name and the hash of the token, so that no comparison shows how near a guess is. */
export const consoleTokens = jsonCollection<TokenRecord>("console_token");
