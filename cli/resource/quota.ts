import { cell } from "../table.ts";
import { defineResource } from "./define.ts";

export const quota = defineResource({
  name: "quota",
  summary: "how much the objects of a project or domain may take",
  examples: ["quota show", "quota set virtual_machines=20 memory=64GiB", "quota get"],
  loadService: async () =>
    (await import("../../src/gen/n0stack/budget/v1alpha1/quota_pb.ts")).QuotaService,
  columns: [cell("name"), cell("limits"), cell("used"), { ...cell("labels"), isWide: true }],
  calls: [
    {
      name: "delete",
      rpc: "DeleteQuota",
      summary: "remove all limits of a project or domain",
      examples: ["quota delete project/acme"],
    },
  ],
  commands: async (cli) => (await import("../commands/quota.ts")).quotaCommands(cli),
});
