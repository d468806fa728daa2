import { cell } from "../table.ts";
import { defineResource } from "./define.ts";

export const role = defineResource({
  name: "role",
  summary: "roles, which are sets of permissions",
  examples: [
    "role get",
    'role create helpdesk --permissions "virtual_machine.*" --permissions "*.get"',
  ],
  loadService: async () =>
    (await import("../../src/gen/n0stack/iam/v1alpha1/role_pb.ts")).RoleService,
  columns: [cell("name"), cell("built_in"), cell("description"), cell("permissions")],
  calls: [
    {
      name: "create",
      rpc: "CreateRole",
      makes: true,
      summary: "make a role of your own",
      examples: ['role create helpdesk --permissions "virtual_machine.*" --permissions "*.get"'],
    },
    {
      name: "update",
      rpc: "UpdateRole",
      summary: "replace the description and the permissions of an own role",
      examples: ['role update helpdesk --permissions virtual_machine.boot --permissions "*.get"'],
    },
    {
      name: "delete",
      rpc: "DeleteRole",
      summary: "delete an own role that nobody has",
      examples: ["role delete helpdesk"],
    },
  ],
});
