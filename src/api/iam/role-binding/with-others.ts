import { merge, type Writes } from "../../../datastore/datastore.ts";
import type { HeldObjects } from "../../../datastore/held-objects.ts";
import type { Stored } from "../../../datastore/records.ts";
import { referrersOf } from "../../../datastore/references.ts";
import type { RoleBinding } from "../../../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";
import { N0Error } from "../../../util/errors.ts";
import type { Ref } from "../../../util/ref.ts";
import type { Api } from "../../core/context.ts";
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

/**
 * Role bindings go with their member and with their place, in the same batch.
 *
 * @throws N0Error `aborted` if there is one whose key is not held, because it has just been made.
 */
export function removeBindings(held: HeldObjects, bindings: readonly Binding[]): Writes {
  const isNew = bindings.some(({ key }) => !held.keys.includes(key));
  if (isNew) {
    throw new N0Error("aborted", "a role binding has just been made: try again", {
      retryAfterMs: 100,
    });
  }
  const once = new Map(bindings.map((binding) => [binding.key, binding]));
  return merge(
    ...[...once.values()].map(({ key, value }) =>
      held.remove(roleBindings, roleBindings.refOf(key), value),
    ),
  );
}
