import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import type { RpcCommandSpec } from "../rpc-command.ts";
import { type Column, cell } from "../table.ts";
import type { Kind } from "./kind.ts";

/** A command that is one RPC of the resource's service. */
export interface CallSpec extends Omit<RpcCommandSpec, "method"> {
  /** Its name in the service: `CreateBlockStorage`. */
  readonly rpc: string;
  /** The command gives a new object its name, so no existing name completes it. */
  readonly makes?: true;
}

/**
 * A kind of object with its commands. Each is a file of this folder. `npm run gen` lists them in all.ts, and
 * the list is the source of the groups of commands, `get`, `delete`, the types of `do`, tables and completion.
 */
export interface ResourceKind extends Kind {
  /** The purpose of a group of commands, such as `n0cli network`. */
  readonly summary: string;
  /** Examples of the group, without the program's name. */
  readonly examples: readonly string[];
  readonly calls: readonly CallSpec[];
  /** Commands that are more than one RPC. Their modules are loaded only when the group runs. */
  commands?(cli: CliContext): Promise<readonly Command[]>;
  /**
   * Its command `delete`, if that does more than make one call.
   *
   * @param words The words that it is called by, for its examples: `network delete` or `delete network`.
   */
  deleteCommand?(cli: CliContext, words: string): Promise<Command>;
}

/** `virtual_machine` is VirtualMachine in the names of RPCs. */
export function defineResource(
  spec: Omit<ResourceKind, "typeName" | "aliases"> & { readonly aliases?: readonly string[] },
): ResourceKind {
  const typeName = spec.name.replaceAll(/(?:^|_)(\w)/g, (_, first: string) => first.toUpperCase());
  return { aliases: [], ...spec, typeName };
}

export const namedColumns: readonly Column[] = [cell("name"), cell("state"), cell("labels")];

/** Columns for PENDING objects. */
export const transactionColumn: Column = {
  ...cell("transaction_id"),
  header: "TRANSACTION",
  isRare: true,
};
