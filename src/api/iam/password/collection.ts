import { jsonCollection } from "../../../datastore/collection.ts";
import { users } from "../user/collection.ts";

export type Password = {
  /** A PHC string of argon2id. */
  readonly hash: string;
  readonly setAtMs: number;
  /** Each sign-in rewrites the record, so that nobody changes the password at the same moment. */
  readonly signedInAtMs?: number;
};

/** Of the users who have one. It goes with its user, in the same batch. */
export const passwords = jsonCollection<Password>("password", { of: users.kind });

/** The credential in events. */
export const PASSWORD = "password";
/** The reason in events. */
export const WRONG_PASSWORD = "wrong password";
