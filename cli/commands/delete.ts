import type { CliContext } from "../context.ts";
import { RESOURCES } from "../resource/all.ts";
import { type Kind, otherNames } from "../resource/kind.ts";
import { deleteMethod } from "../resource/resource.ts";
import { groupCommand, rpcCommand } from "../rpc-command.ts";
import { commandsByKind } from "./by-kind.ts";

/**
 * `n0cli delete <resource> <name>`. `words` are those of the command line that follow `delete`, or the other word for
 * it.
 */
export async function allDeleteCommand(
  cli: CliContext,
  words: readonly string[],
  word: "delete" | "rm" = "delete",
) {
  const commands = await commandsByKind(cli, words, summaryOf, async (resource) => {
    const kind = RESOURCES.find(({ name }) => name === resource.name);
    const own = await kind?.deleteCommand?.(cli, `delete ${resource.name}`);
    if (own !== undefined) return own.name(resource.name).aliases(otherNames(resource));
    return rpcCommand(cli, {
      name: resource.name,
      aliases: otherNames(resource),
      method: deleteMethod(resource),
      summary: summaryOf(resource),
      examples: [`delete ${resource.name} NAME`],
    });
  });
  const examples = ["delete vm web-1", "delete network lab"];
  return groupCommand([word], "delete one resource", commands, examples);
}

function summaryOf(kind: Kind): string {
  return `delete one ${kind.name}`;
}
