import type { Command } from "commander";
import { callUnary } from "../call.ts";
import { type Candidate, completeFirstArgument } from "../candidates.ts";
import type { CliContext } from "../context.ts";
import { requestFromFlags } from "../convert/flags.ts";
import { getCommand } from "../get-command.ts";
import { messageToJson } from "../output.ts";
import { groupCommand, rpcCommand } from "../rpc-command.ts";
import type { Row } from "../table.ts";
import { textOf } from "../table.ts";
import type { ResourceKind } from "./define.ts";
import { listMethod, loadResource, type Resource, recordField, unaryMethod } from "./resource.ts";

/** The commands of one kind, such as `n0cli network …`. */
export async function resourceCommand(cli: CliContext, kind: ResourceKind): Promise<Command> {
  const resource = await loadResource(kind);
  const calls = kind.calls.map(({ rpc, makes, ...spec }) => {
    const command = rpcCommand(cli, { ...spec, method: unaryMethod(resource, rpc) });
    return makes === true ? command : completeNames(command, resource);
  });
  const others = [...((await kind.commands?.(cli)) ?? [])];
  const ownDelete = await kind.deleteCommand?.(cli, `${kind.name} delete`);
  if (ownDelete !== undefined) others.push(ownDelete);
  return groupCommand(
    [kind.name, ...kind.aliases],
    kind.summary,
    [
      completeNames(getCommand(cli, resource), resource),
      ...calls,
      ...others.map((command) => completeNames(command, resource)),
    ],
    kind.examples,
  );
}

/** A shell offers the names of the objects of that kind in the API. */
export function completeNames(command: Command, resource: Resource): Command {
  return completeFirstArgument(command, async (cli, signal) => {
    const method = listMethod(resource);
    const answer = await callUnary(cli, method, requestFromFlags(method.input, {}), { signal });
    const field = recordField(resource, method.output);
    const records = (messageToJson(method.output, answer) as Row)[field] ?? [];
    return (records as readonly Row[]).map(
      (record): Candidate => [textOf(record["name"]), textOf(record["state"])],
    );
  });
}
