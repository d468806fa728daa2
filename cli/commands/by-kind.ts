import { Command } from "commander";
import type { CliContext } from "../context.ts";
import { completeNames } from "../resource/commands.ts";
import { type Kind, otherNames } from "../resource/kind.ts";
import { loadResource, type Resource } from "../resource/resource.ts";

/**
 * A command for each kind of resource. Those that the command line does not name have no flags, so that their
 * descriptors are not loaded.
 */
export async function commandsByKind(
  cli: CliContext,
  words: readonly string[],
  summary: (kind: Kind) => string,
  newCommand: (resource: Resource) => Command | Promise<Command>,
): Promise<readonly Command[]> {
  // The second one, after "help".
  const begin = words.slice(0, 2);
  const isNamed = (kind: Kind) => [kind.name, ...otherNames(kind)].some((n) => begin.includes(n));
  return await Promise.all(
    cli.kinds.map(async (kind) => {
      if (!isNamed(kind)) {
        return new Command(kind.name).aliases(otherNames(kind)).description(summary(kind));
      }
      const resource = await loadResource(kind);
      return completeNames(await newCommand(resource), resource);
    }),
  );
}
