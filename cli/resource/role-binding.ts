import { cell } from "../table.ts";
import { defineResource } from "./define.ts";

export const roleBinding = defineResource({
  name: "role_binding",
  aliases: ["binding"],
  summary: "role bindings: who has which role where",
  examples: [
    "binding create alice --role member --member user/alice --scope project/acme",
    "binding get --scope system",
  ],
  loadService: async () =>
    (await import("../../src/gen/n0stack/iam/v1alpha1/role_binding_pb.ts")).RoleBindingService,
  columns: [cell("name"), cell("role"), cell("member"), cell("scope"), cell("labels")],
  calls: [
    {
      name: "create",
      rpc: "CreateRoleBinding",
      makes: true,
      summary: "give a role to a user, a group or a service account",
      examples: [
        "binding create alice --role member --member user/alice --scope project/acme",
        "binding create ops --role operator --member group/ops --scope system",
      ],
    },
    {
      name: "delete",
      rpc: "DeleteRoleBinding",
      summary: "take a role away",
      examples: ["binding delete alice --scope project/acme"],
    },
  ],
});
