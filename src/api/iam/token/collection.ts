import { jsonCollection, protoCollection } from "../../../datastore/collection.ts";
import type { Writes } from "../../../datastore/datastore.ts";
import type { Stored } from "../../../datastore/records.ts";
import { referenceKeys } from "../../../datastore/references.ts";
import { type Token, TokenSchema } from "../../../gen/n0stack/iam/v1alpha1/token_pb.ts";
import { memberObject } from "../role-binding/member.ts";

/** By id. A token refers to its principal, and goes with it. */
export const tokens = protoCollection("token", TokenSchema, {
  refs: ({ principal }) => {
    const object = memberObject(principal);
    return object === undefined ? [] : [object];
  },
});

/** When a token was last used, written at most once a minute. */
export const tokenUses = jsonCollection<{ readonly atMs: number }>("token_use", { of: "token" });

/** Deletes a token with all that belongs to it. */
export function withoutToken({ key, value }: Pick<Stored<Token>, "key" | "value">): Writes {
  const ref = tokens.refOf(key);
  return { deletes: [key, tokenUses.key(ref), ...referenceKeys(tokens, key, value)] };
}
