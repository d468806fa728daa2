import type { CliContext } from "../context.ts";
import { getCommand } from "../get-command.ts";
import { node } from "../resource/node.ts";
import { unaryMethod } from "../resource/resource.ts";
import { groupCommand, rpcCommand } from "../rpc-command.ts";

export function nodeCommand(cli: CliContext) {
  return groupCommand(
    ["node"],
    "the machines of the cloud",
    [
      getCommand(cli, node),
      rpcCommand(cli, {
        name: "apply",
        method: unaryMethod(node, "ApplyNode"),
        summary:
          "make a node known, or change what is known of it; its agent answers at the address",
        examples: [
          "node apply rack1-3 --address 10.0.0.3 --cpu_milli_cores 8000 --memory_bytes 64GiB",
        ],
      }),
      rpcCommand(cli, {
        name: "delete",
        method: unaryMethod(node, "DeleteNode"),
        summary:
          "forget a node: one on which nothing is reserved, or one that is lost, with all its objects",
        examples: ["node delete rack1-3", "node delete rack1-3 --with_objects"],
      }),
      rpcCommand(cli, {
        name: "lost",
        method: unaryMethod(node, "SetNodeLost"),
        fixed: { lost: "true" },
        summary:
          "declare a node lost whose machine will never come back: nothing waits for it any more",
        examples: ["node lost rack1-3"],
      }),
      rpcCommand(cli, {
        name: "found",
        method: unaryMethod(node, "SetNodeLost"),
        fixed: { lost: "false" },
        summary: "take back that a node is lost",
        examples: ["node found rack1-3"],
      }),
    ],
    ["node get", "node get --watch"],
  );
}
