import { RoleSchema, RoleService } from "../../../gen/n0stack/iam/v1alpha1/role_pb.ts";
import { defineResource } from "../../core/resource/resource.ts";
import type { Api } from "../context.ts";
import { roles } from "./collection.ts";
import { createRole, deleteRole, updateRole } from "./write.ts";

export const role = defineResource({
  word: "role",
  service: RoleService,
  schema: RoleSchema,
  collection: roles,
  givesRoom: ["deleteRole"],
  routes: (api: Api) => ({
    createRole: (request, call) => createRole(api, call, request),
    updateRole: (request, call) => updateRole(api, call, request),
    deleteRole: ({ name }, call) => deleteRole(api, call, name),
  }),
});
