import { type CallKind, call } from "../../../../test/sim/call-kind.ts";
import { namesOf } from "../../../../test/sim/view.ts";
import { RoleService } from "../../../gen/n0stack/iam/v1alpha1/role_pb.ts";

export const calls: Readonly<Record<string, CallKind>> = {
  CreateRole: call(
    0.5,
    (view) => ({
      name: view.choose([], namesOf("role")),
      permissions: [view.dice.pick(["image.*", "*.get"])],
    }),
    (c, request, options) => c.client(RoleService).createRole(request, options),
  ),
  UpdateRole: call(
    0.5,
    (view) => ({
      name: view.choose([], namesOf("role")),
      permissions: [view.dice.pick(["image.*", "*.get"])],
    }),
    (c, request, options) => c.client(RoleService).updateRole(request, options),
  ),
  DeleteRole: call(
    0.4,
    (view) => ({ name: view.choose([], namesOf("role")) }),
    (c, request, options) => c.client(RoleService).deleteRole(request, options),
  ),
};
