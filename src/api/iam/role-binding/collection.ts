import { protoCollection } from "../../../datastore/collection.ts";
import { RoleBindingSchema } from "../../../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";
import { SYSTEM_SCOPE } from "../../../util/ref.ts";
import { memberObject } from "./member.ts";

export const roleBindings = protoCollection("role_binding", RoleBindingSchema, {
  refs: ({ role, member }) => {
    const object = memberObject(member);
    return [
      { kind: "role", scope: SYSTEM_SCOPE, name: role },
      ...(object === undefined ? [] : [object]),
    ];
  },
});
