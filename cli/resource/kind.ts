import type { DescService } from "@bufbuild/protobuf";
import type { Column } from "../table.ts";

/** One kind of object that a user has, without the descriptors of its RPCs. */
export interface Kind {
  /** The word of commands and task files: `virtual_machine`. */
  readonly name: string;
  readonly aliases: readonly string[];
  /** The word in names of RPCs: `VirtualMachine` in GetVirtualMachine. */
  readonly typeName: string;
  readonly columns: readonly Column[];
  /** Decoding descriptors takes a good part of a short call, so only the used ones are loaded. */
  loadService(): Promise<DescService>;
}

/** Finds a kind by its name or its short name. */
export function findKind(kinds: readonly Kind[], word: string): Kind | undefined {
  return kinds.find(({ name, aliases }) => name === word || aliases.includes(word));
}

/** All other words for it in `get` and `delete`: short, plural, with dashes. */
export function otherNames({ name, aliases }: Kind): readonly string[] {
  const all = [name, ...aliases].flatMap((word) => [word, `${word}s`]);
  const dashed = all.map((word) => word.replaceAll("_", "-"));
  return [...new Set([...aliases, ...all, ...dashed])].filter((word) => word !== name);
}

/** The kind whose record is that message. */
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
