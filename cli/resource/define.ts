import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import type { RpcCommandSpec } from "../rpc-command.ts";
import { type Column, cell } from "../table.ts";
import type { Kind } from "./kind.ts";

/** A command that is one RPC of the resource's service. */
export interface CallSpec extends Omit<RpcCommandSpec, "method"> {
  /** Its name in the service: `CreateBlockStorage`. */
  readonly rpc: string;
  /** It gives a new thing its name, so the names of those that are there complete nothing. */
  readonly makes?: true;
}

/**
 * A kind of thing with its commands. Each is a file of this folder; `npm run gen` lists them in all.ts, and
 * from that list come the group of commands, `get`, `delete`, the types of `do`, tables and completion.
 */
export interface ResourceKind extends Kind {
  /** What a group of commands, such as `n0cli network`, is for. */
  readonly summary: string;
  /** Of the group; each without the program's name. */
  readonly examples: readonly string[];
  readonly calls: readonly CallSpec[];
  /** Commands that are more than one RPC. Their modules are loaded when the group is the one that runs. */
  commands?(cli: CliContext): Promise<readonly Command[]>;
}

/** `virtual_machine` is VirtualMachine in the names of RPCs. */
export function defineResource(
  spec: Omit<ResourceKind, "typeName" | "aliases"> & { readonly aliases?: readonly string[] },
): ResourceKind {
  const typeName = spec.name.replaceAll(/(?:^|_)(\w)/g, (_, first: string) => first.toUpperCase());
  return { aliases: [], ...spec, typeName };
}

export const namedColumns: readonly Column[] = [cell("name"), cell("state"), cell("labels")];

/** Of what is PENDING. */
export const transactionColumn: Column = {
  ...cell("transaction_id"),
  header: "TRANSACTION",
  isRare: true,
};
