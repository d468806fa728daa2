import type { CliContext } from "../context.ts";
import { getCommand } from "../get-command.ts";
import { RESOURCES } from "../resources.ts";
import { groupCommand } from "../rpc-command.ts";

/** `n0cli get <resource> [name]`. */
export function allGetCommand(cli: CliContext) {
  const commands = RESOURCES.map((resource) => getCommand(cli, resource, resource.name));
  const examples = ["get vm", "get bs data -o yaml", "get node --watch"];
  return groupCommand(["get", "list", "ls"], "show what there is", commands, examples);
}
