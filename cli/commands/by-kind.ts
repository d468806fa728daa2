import { Command } from "commander";
import { KINDS, type Kind, otherNames } from "../resource/kinds.ts";
import { loadResource } from "../resource/load.ts";
import type { Resource } from "../resource/resource.ts";

/**
 * A command for each kind of thing. Those that the command line does not name are there by name only, so
 * that their descriptors are not loaded.
 */
export async function commandsByKind(
  words: readonly string[],
  summary: (kind: Kind) => string,
  newCommand: (resource: Resource) => Command,
): Promise<readonly Command[]> {
  // The second one, after "help".
  const begin = words.slice(0, 2);
  const isNamed = (kind: Kind) => [kind.name, ...otherNames(kind)].some((n) => begin.includes(n));
  return await Promise.all(
    KINDS.map(async (kind) => {
      if (isNamed(kind)) return newCommand(await loadResource(kind));
      return new Command(kind.name).aliases(otherNames(kind)).description(summary(kind));
    }),
  );
}
