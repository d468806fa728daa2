import { type CallKind, call } from "../../../../test/sim/call-kind.ts";
import { namesOf } from "../../../../test/sim/view.ts";
import { RoleBindingService } from "../../../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";
import { users } from "../user/collection.ts";
import { roleBindings } from "./collection.ts";

export const calls: Readonly<Record<string, CallKind>> = {
  CreateRoleBinding: call(
    1,
    (view) => ({
      name: view.choose([], namesOf("binding")),
      role: view.dice.pick(["viewer", ...namesOf("role")]),
      member: view.dice.pick([
        `user/${view.object(users, namesOf("user"))}`,
        `group/${view.dice.pick(namesOf("group"))}`,
        `group/${view.dice.pick(namesOf("domain"))}/ops`,
      ]),
    }),
    (c, request, options) => c.client(RoleBindingService).createRoleBinding(request, options),
  ),
  DeleteRoleBinding: call(
    0.6,
    (view) => ({ name: view.object(roleBindings, namesOf("binding")) }),
    (c, request, options) => c.client(RoleBindingService).deleteRoleBinding(request, options),
  ),
};
