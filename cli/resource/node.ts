import { bytesOf, cell, milliOf } from "../table.ts";
import { defineResource, namedColumns, transactionColumn } from "./define.ts";

export const node = defineResource({
  name: "node",
  summary: "the nodes that virtual machines run on",
  examples: ["node get", "node get --watch"],
  loadService: async () => (await import("../../src/gen/n0stack/pool/v0/node_pb.ts")).NodeService,
  columns: [
    ...namedColumns,
    cell("address"),
    milliOf("cpu_milli_cores"),
    bytesOf("memory_bytes"),
    bytesOf("storage_bytes"),
    transactionColumn,
    { ...cell("accelerator"), isWide: true },
    { ...cell("underlay_address"), isWide: true },
    { ...cell("underlay_mtu"), isWide: true },
    { ...cell("ipmi_address"), isWide: true },
    { ...cell("serial"), isWide: true },
    { ...cell("last_heartbeat_at"), isWide: true },
  ],
  commands: async (cli) => (await import("../commands/node-join.ts")).joinCommands(cli),
  calls: [
    {
      name: "apply",
      rpc: "ApplyNode",
      makes: true,
      summary: "register a node, or change its registration; its agent listens at --address",
      examples: [
        "node apply rack1-3 --address 10.0.0.3 --cpu_milli_cores 8000 --memory_bytes 64GiB",
      ],
    },
    {
      name: "delete",
      rpc: "DeleteNode",
      summary: "remove a node that has no reservations, or a lost node with all its objects",
      examples: ["node delete rack1-3", "node delete rack1-3 --with_objects"],
    },
    {
      name: "lost",
      rpc: "SetNodeLost",
      fixed: { lost: true },
      summary: "declare that a node will never come back, so that nothing waits for it any more",
      examples: ["node lost rack1-3"],
    },
    {
      name: "found",
      rpc: "SetNodeLost",
      fixed: { lost: false },
      summary: "withdraw the declaration that a node is lost",
      examples: ["node found rack1-3"],
    },
  ],
});
