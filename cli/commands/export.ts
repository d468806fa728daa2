import { Command } from "commander";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { withExamples } from "../examples.ts";
import { exportFile } from "../export/file.ts";
import { selected, summary, withDependencies } from "../export/select.ts";
import { readWorld } from "../export/world.ts";

export function exportCommand(cli: CliContext): Command {
  const command = new Command("export")
    .description(
      "Print the YAML file that makes what exists in a project: n0cli do runs it. A KIND or a KIND/NAME\n" +
        "selects, together with all on which that rests.",
    )
    .argument("[objects...]", "such as vm, vm/web-1, network/lab; default: all")
    .option("--no-dependencies", "only these objects, not those on which they rest");
  withExamples(command, [
    "export > lab.yaml",
    "export vm/web-1 network",
    "export vm --no-dependencies",
    "do --check lab.yaml",
  ]);
  command.addHelpText("after", HELP);
  return command.action(
    async (words: readonly string[], flags: { readonly dependencies: boolean }) => {
      const format = cli.flags().output;
      if (format !== undefined && format !== "yaml") {
        throw new CliError(`export prints YAML: leave out -o ${format}`);
      }
      const world = await readWorld(cli);
      const asked = selected(cli, world, words);
      const keys = flags.dependencies ? withDependencies(world, asked) : asked;
      if (keys.length === 0) {
        cli.say("There is nothing to export.");
        return;
      }
      cli.io.stdout.print(exportFile(world, keys));
      if (!cli.io.stdout.isTerminal) cli.say(`Exported ${summary(keys)}.`);
    },
  );
}

const HELP = `
Exported are networks with their reserved interfaces, security groups, block storages, images with their tags, and
virtual machines, also with what makes them shut down, paused, protected or shared. A virtual machine rests on its
block storages, networks and security groups; a block storage on its image or on what it is a copy of; an image on its
block storages; a security group on those that its rules name. What other projects share is named, and not exported.

Made again in the same project, nics get the same addresses, and guests see the same hardware addresses and UUIDs. An
object is on the same node only if it asked for it; the block storages of one virtual machine are always on one node.

A comment says what the file cannot bring back. It has no secrets, and nothing that guests have written: a block
storage begins as the image, the URL or the copy from which it was made, otherwise empty. Users, roles and quotas are
not part of it. Equal worlds give equal files.`;
