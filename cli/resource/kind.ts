import type { DescService } from "@bufbuild/protobuf";
import type { Column } from "../table.ts";

/** One kind of thing that a user has, without the descriptors of its RPCs. */
export interface Kind {
  /** As commands and task files write it: `virtual_machine`. */
  readonly name: string;
  readonly aliases: readonly string[];
  /** What stands in names of RPCs: `VirtualMachine` in GetVirtualMachine. */
  readonly typeName: string;
  readonly columns: readonly Column[];
  /** Decoding descriptors is a good part of what a short call costs, so only what is used is loaded. */
  loadService(): Promise<DescService>;
}

/** By its name or its short name. */
export function findKind(kinds: readonly Kind[], word: string): Kind | undefined {
  return kinds.find(({ name, aliases }) => name === word || aliases.includes(word));
}

/** Every other word for it in `get` and `delete`: short, of several, with dashes. */
export function otherNames({ name, aliases }: Kind): readonly string[] {
  const all = [name, ...aliases].flatMap((word) => [word, `${word}s`]);
  const dashed = all.map((word) => word.replaceAll("_", "-"));
  return [...new Set([...aliases, ...all, ...dashed])].filter((word) => word !== name);
}

/** The kind that a record of that message is of. */
export function kindOfMessage(
  kinds: readonly Kind[],
  desc: { readonly name: string },
): Kind | undefined {
  return kinds.find(({ typeName }) => desc.name === typeName);
}

/** The kind whose RPCs a service has. */
export function kindOfService(
  kinds: readonly Kind[],
  service: { readonly name: string },
): Kind | undefined {
  return kinds.find(({ typeName }) => service.name === `${typeName}Service`);
}
