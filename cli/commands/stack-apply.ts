import { Command } from "commander";
import type { CliContext } from "../context.ts";
import type { PlannedFlags } from "../do/atomic/run-planned.ts";
import { collect, parseCount, type ReadFlags, readChecked } from "../do/read.ts";
import { CliError } from "../errors.ts";
import { withExamples } from "../examples.ts";
import { EXIT } from "../exit-code.ts";
import { applyChecked, versionOf } from "../stack/change.ts";

type Flags = PlannedFlags & ReadFlags;

export function applyCommand(cli: CliContext): Command {
  const command = stackCommand(
    "apply",
    "make a stack from a file, or bring it to what the file says",
  );
  withExamples(command, [
    "stack apply lab lab.yaml --plan",
    "stack apply lab lab.yaml --set count=3 --yes",
  ]);
  return command.action(async (name: string, file: string, flags: Flags) => {
    await apply(cli, name, file, await versionOf(cli, name), flags);
  });
}

export function updateCommand(cli: CliContext): Command {
  const command = stackCommand("update", "the same as apply, for a stack that exists");
  withExamples(command, ["stack update lab lab.yaml --plan"]);
  return command.action(async (name: string, file: string, flags: Flags) => {
    const version = await versionOf(cli, name);
    if (version === 0) {
      const hint = `n0cli stack apply ${name} ${file} makes it`;
      throw new CliError(`stack "${name}" does not exist: ${hint}`, EXIT.notFound);
    }
    await apply(cli, name, file, version, flags);
  });
}

function stackCommand(word: string, description: string): Command {
  return new Command(word)
    .description(
      `${description}, as one transaction: what differs is changed, what the file makes no more is deleted`,
    )
    .argument("<name>")
    .argument("<file>", "a file of tasks; - is standard input")
    .option("--plan", "only show what that would do; exit with 3 if that is anything")
    .option("--set <name=value>", "the value of a parameter; repeatable", collect)
    .option("--values <file>", "a YAML file of values of parameters; repeatable", collect)
    .option(
      "--discard-data",
      "the data of block storages that the file deletes or replaces may be lost",
    )
    .option("--restart", "virtual machines that run are restarted, where their change needs it")
    .option("--yes", "without a question")
    .option("-p, --parallel <count>", "run at most this many tasks at once", parseCount, 10);
}

async function apply(
  cli: CliContext,
  name: string,
  path: string,
  version: number,
  flags: Flags,
): Promise<void> {
  await applyChecked(cli, name, await readChecked(cli, [path], flags), version, flags);
}
