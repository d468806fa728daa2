import { objectKey } from "../../../datastore/key.ts";
import type { RoleBinding } from "../../../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import { defineAudit } from "../../core/audit/audit.ts";
import type { Codes } from "../../core/audit/codes.ts";
import type { View } from "../../core/audit/view.ts";
import { roleBindings } from "./collection.ts";

const codes = {
  "role_binding.without_owner": {
    rank: 172,
    severity: "warning",
    means:
      "a role binding names a role, a member or the domain of a group that does not exist: whoever gets that name would have the role",
    repair: "removes the role binding",
  },
} as const satisfies Codes;

export const roleBindingAudit = defineAudit({
  codes,
  compare: async (view: View) => {
    if (!view.isWanted("")) return [];
    return view.records.list(roleBindings).flatMap(({ key, value }) => {
      const missing = missingOf(view, value);
      if (missing === undefined) return [];
      const ref = roleBindings.refOf(key);
      return [
        {
          code: "role_binding.without_owner" as const,
          resource: formatRef(ref),
          nodeName: "",
          expected: formatRef(missing),
          found: "nothing",
          keys: [key, objectKey(missing)],
          repair: (tx) => tx.commit(tx.context.held.remove(roleBindings, ref, value)),
        },
      ];
    });
  },
});

/** What the binding names, and does not exist. */
function missingOf({ api, records }: View, binding: RoleBinding): Ref | undefined {
  const named = roleBindings.refersTo?.(binding, { scope: "" }) ?? [];
  return named.find((ref) => {
    const of = api.kinds.find(({ kind }) => kind === ref.kind);
    return of !== undefined && records.find(of.collection, ref) === undefined;
  });
}
