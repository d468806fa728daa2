import type { CliContext } from "../context.ts";
import { deleteMethod, otherNames, RESOURCES } from "../resources.ts";
import { groupCommand, rpcCommand } from "../rpc-command.ts";

/** `n0cli delete <resource> <name>`. */
export function allDeleteCommand(cli: CliContext) {
  const commands = RESOURCES.map((resource) =>
    rpcCommand(cli, {
      name: resource.name,
      aliases: otherNames(resource),
      method: deleteMethod(resource),
      summary: `delete one ${resource.name}`,
      examples: [`delete ${resource.name} NAME`],
    }),
  );
  const examples = ["delete vm web-1", "delete network lab"];
  return groupCommand(["delete", "rm"], "delete one thing", commands, examples);
}
