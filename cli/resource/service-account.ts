import { cell } from "../table.ts";
import { defineResource } from "./define.ts";

export const serviceAccount = defineResource({
  name: "service_account",
  aliases: ["sa"],
  summary: "service accounts, as which programs call the API",
  examples: [
    "sa create ci --project acme",
    "binding create ci --role member --member service_account/acme/ci --scope project/acme",
  ],
  loadService: async () =>
    (await import("../../src/gen/n0stack/iam/v1alpha1/service_account_pb.ts"))
      .ServiceAccountService,
  columns: [cell("name"), cell("project"), cell("description"), cell("labels")],
  calls: [
    {
      name: "create",
      rpc: "CreateServiceAccount",
      makes: true,
      summary: "make a service account",
      examples: ["sa create ci --project acme"],
    },
    {
      name: "delete",
      rpc: "DeleteServiceAccount",
      summary: "delete a service account, with its role bindings",
      examples: ["sa delete ci --project acme"],
    },
  ],
});
