import { type Objects, remove } from "../../../datastore/collection.ts";
import { merge, type Writes } from "../../../datastore/datastore.ts";
import type { HeldObjects } from "../../../datastore/held-objects.ts";
import type { Stored } from "../../../datastore/records.ts";
import { referrersOf } from "../../../datastore/references.ts";
import type { RoleBinding } from "../../../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";
import { N0Error } from "../../../util/errors.ts";
import type { Ref } from "../../../util/ref.ts";
import type { Api } from "../../core/context.ts";
import type { UserObject } from "../../core/resource/object.ts";
import { tokens, tokenUses } from "../token/collection.ts";
import { roleBindings } from "./collection.ts";

type Binding = Stored<RoleBinding>;

/** The role bindings that name an object: a role, a member, or the domain of a group. */
export async function bindingsOf({ records }: Api, to: Ref): Promise<readonly Binding[]> {
  const refs = await referrersOf(records, to, { kind: roleBindings.kind });
  const found = await Promise.all(refs.map((ref) => records.find(roleBindings, ref)));
  return found.filter((one): one is Binding => one !== undefined);
}

/** The role bindings that hold in a place, by its scope. */
export async function bindingsIn({ records }: Api, scope: string): Promise<readonly Binding[]> {
  return await records.listPrefix(roleBindings, roleBindings.within(scope));
}

/** A record that goes with an object that it names, and its collection. */
interface Belonging {
  readonly of: Objects<UserObject>;
  readonly stored: Stored<UserObject>;
}

/** The role bindings and the tokens of a user or a service account. */
export async function belongingsOf({ records }: Api, to: Ref): Promise<readonly Belonging[]> {
  const found: Belonging[] = [];
  for (const each of [roleBindings, tokens] as readonly Objects<UserObject>[]) {
    for (const ref of await referrersOf(records, to, { kind: each.kind })) {
      const stored = await records.find(each, ref);
      if (stored !== undefined) found.push({ of: each, stored });
    }
  }
  return found;
}

/**
 * They go with their member in the same batch.
 *
 * @throws N0Error `aborted` if there is one whose key is not held, because it has just been made.
 */
export function removeBelongings(held: HeldObjects, belongings: readonly Belonging[]): Writes {
  const isNew = belongings.some(({ stored }) => !held.keys.includes(stored.key));
  if (isNew) {
    throw new N0Error("aborted", "a role binding or a token has just been made: try again", {
      retryAfterMs: 100,
    });
  }
  const once = new Map(belongings.map((one) => [one.stored.key, one]));
  return merge(
    ...[...once.values()].map(({ of, stored }) => {
      const ref = of.refOf(stored.key);
      const removed = held.remove(of, ref, stored.value);
      return of.kind === tokens.kind ? merge(removed, remove(tokenUses, ref)) : removed;
    }),
  );
}

/** Role bindings go with their place, in the same batch. @throws N0Error like `removeBelongings`. */
export function removeBindings(held: HeldObjects, bindings: readonly Binding[]): Writes {
  return removeBelongings(
    held,
    bindings.map((stored) => ({
      of: roleBindings as Objects<unknown> as Objects<UserObject>,
      stored,
    })),
  );
}
