import { cell } from "../table.ts";
import { defineResource } from "./define.ts";

export const token = defineResource({
  name: "token",
  summary: "API tokens, with which people and programs call",
  examples: [
    "token create --description laptop",
    "token create --principal service_account/acme/ci --expires 30d",
    "token list",
  ],
  loadService: async () =>
    (await import("../../src/gen/n0stack/iam/v1alpha1/token_pb.ts")).TokenService,
  columns: [
    cell("name"),
    cell("principal"),
    cell("description"),
    cell("project"),
    cell("roles"),
    cell("expires_at"),
    cell("last_used_at"),
  ],
  calls: [
    {
      name: "delete",
      rpc: "DeleteToken",
      summary: "revoke a token, which ends all streams that it has opened",
      examples: ["token delete 0f3a9c51d2e7b648"],
    },
  ],
  commands: async (cli) => (await import("../commands/token-create.ts")).tokenCommands(cli),
});
