import { cell } from "../table.ts";
import { defineResource, namedColumns, transactionColumn } from "./define.ts";

export const project = defineResource({
  name: "project",
  summary: "projects, which own virtual machines, disks, images and networks",
  examples: ["project create acme", "--project acme vm get"],
  loadService: async () =>
    (await import("../../src/gen/n0stack/iam/v1alpha1/project_pb.ts")).ProjectService,
  columns: [...namedColumns, cell("domain"), cell("description"), transactionColumn],
  calls: [
    {
      name: "create",
      rpc: "CreateProject",
      makes: true,
      summary: "make a project",
      examples: ["project create acme", "project create acme --domain corp"],
    },
  ],
  deleteCommand: async (cli, words) =>
    (await import("../commands/project-delete.ts")).projectDeleteCommand(cli, words),
});
