import { create } from "@bufbuild/protobuf";
import type { Drifts } from "../../../../test/drift.ts";
import { put } from "../../../datastore/collection.ts";
import { merge } from "../../../datastore/datastore.ts";
import { referenceWrites } from "../../../datastore/references.ts";
import { RoleBindingSchema } from "../../../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";
import { roleBindings } from "./collection.ts";

/** One for each code of the audit. */
export const drifts: Drifts = {
  "role_binding.without_owner": {
    drift: async ({ api }) => {
      const ref = { kind: roleBindings.kind, scope: "", name: "old" };
      const binding = { name: "old", role: "admin", member: "user/gone", scope: "system" };
      const record = create(RoleBindingSchema, binding);
      await api.datastore.batch(
        merge(
          put(roleBindings, [ref], record),
          referenceWrites(roleBindings, roleBindings.key(ref), undefined, record),
        ),
      );
    },
    isUnwound: true,
  },
};
