import { cell } from "../table.ts";
import { defineResource, namedColumns, transactionColumn } from "./define.ts";

export const domain = defineResource({
  name: "domain",
  summary: "domains, which are sets of projects and people",
  examples: ["domain create corp", "project create acme --domain corp"],
  loadService: async () =>
    (await import("../../src/gen/n0stack/iam/v1alpha1/domain_pb.ts")).DomainService,
  columns: [...namedColumns, cell("description"), transactionColumn],
  calls: [
    {
      name: "create",
      rpc: "CreateDomain",
      makes: true,
      summary: "make a domain",
      examples: ["domain create corp"],
    },
    {
      name: "delete",
      rpc: "DeleteDomain",
      summary: "delete a domain without projects and users, with its role bindings",
      examples: ["domain delete corp"],
    },
  ],
});
