import type { CliContext } from "../context.ts";
import { getCommand, getSummary } from "../get-command.ts";
import { groupCommand } from "../rpc-command.ts";
import { commandsByKind } from "./by-kind.ts";

/** `n0cli get <resource> [name]`. `words` are those of the command line that follow `get`. */
export async function allGetCommand(cli: CliContext, words: readonly string[]) {
  const commands = await commandsByKind(cli, words, getSummary, (resource) =>
    getCommand(cli, resource, resource.name),
  );
  const examples = ["get vm", "get bs data -o yaml", "get node --watch"];
  return groupCommand(["get", "list", "ls"], "show resources of one kind", commands, examples);
}
