import { jsonCollection, protoCollection } from "../../../datastore/collection.ts";
import { TokenSchema } from "../../../gen/n0stack/iam/v1alpha1/token_pb.ts";
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
