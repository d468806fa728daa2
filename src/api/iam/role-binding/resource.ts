import {
  RoleBindingSchema,
  RoleBindingService,
} from "../../../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";
import { defineResource } from "../../core/resource/resource.ts";
import type { Api } from "../context.ts";
import { roleBindingAudit } from "./audit.ts";
import { roleBindings } from "./collection.ts";
import { createRoleBinding, deleteRoleBinding } from "./write.ts";

export const roleBinding = defineResource({
  word: "role binding",
  service: RoleBindingService,
  schema: RoleBindingSchema,
  collection: roleBindings,
  givesRoom: ["deleteRoleBinding"],
  audit: roleBindingAudit,
  routes: (api: Api) => ({
    createRoleBinding: (request, call) => createRoleBinding(api, call, request),
    deleteRoleBinding: ({ name }, call) => deleteRoleBinding(api, call, name),
  }),
});
