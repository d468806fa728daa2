import { Command } from "commander";
import { KINDS, type Kind, otherNames } from "../resource/kinds.ts";
import { loadResource } from "../resource/load.ts";
import type { Resource } from "../resource/resource.ts";

/**
 * A command for each kind of thing. Where the command line names one, the others are there by name only,
 * so that their descriptors are not loaded.
 */
export async function commandsByKind(
  words: readonly string[],
  summary: (kind: Kind) => string,
  newCommand: (resource: Resource) => Command,
): Promise<readonly Command[]> {
  const wanted = KINDS.find((kind) => [kind.name, ...otherNames(kind)].includes(words[0] ?? ""));
  return await Promise.all(
    KINDS.map(async (kind) => {
      if (wanted === undefined || wanted === kind) return newCommand(await loadResource(kind));
      return new Command(kind.name).aliases(otherNames(kind)).description(summary(kind));
    }),
  );
}
