/** One kind of thing that a user has, as far as it is known without the descriptors of its RPCs. */
export interface Kind {
  /** As commands and task files write it. */
  readonly name: string;
  readonly aliases: readonly string[];
  /** What stands in names of RPCs: `VirtualMachine` in GetVirtualMachine. */
  readonly typeName: string;
}

export const KIND = {
  node: { name: "node", aliases: [], typeName: "Node" },
  network: { name: "network", aliases: ["net"], typeName: "Network" },
  blockStorage: { name: "block_storage", aliases: ["bs"], typeName: "BlockStorage" },
  virtualMachine: { name: "virtual_machine", aliases: ["vm"], typeName: "VirtualMachine" },
  image: { name: "image", aliases: [], typeName: "Image" },
  user: { name: "user", aliases: [], typeName: "User" },
} as const satisfies Record<string, Kind>;

export const KINDS: readonly Kind[] = Object.values(KIND);

/** By its name or its short name. */
export function findKind(word: string): Kind | undefined {
  return KINDS.find(({ name, aliases }) => name === word || aliases.includes(word));
}

/** Every other word for it in `get` and `delete`: short, of several, with dashes. */
export function otherNames({ name, aliases }: Kind): readonly string[] {
  const all = [name, ...aliases].flatMap((word) => [word, `${word}s`]);
  const dashed = all.map((word) => word.replaceAll("_", "-"));
  return [...new Set([...aliases, ...all, ...dashed])].filter((word) => word !== name);
}

/** The kind that a record of that message is of. */
export function kindOfMessage(desc: { readonly name: string }): Kind | undefined {
  return KINDS.find(({ typeName }) => desc.name === typeName);
}

/** The kind whose RPCs a service has. */
export function kindOfService(service: { readonly name: string }): Kind | undefined {
  return KINDS.find(({ typeName }) => service.name === `${typeName}Service`);
}
