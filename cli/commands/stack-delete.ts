import { Command } from "commander";
import type { CliContext } from "../context.ts";
import type { PlannedFlags } from "../do/atomic/run-planned.ts";
import { withExamples } from "../examples.ts";
import { changeStack, versionOf } from "../stack/change.ts";

/** @param words The words that it is called by: `stack delete` or `delete stack`. */
export function deleteStackCommand(cli: CliContext, words: string): Command {
  const command = new Command("delete")
    .description("delete a stack with everything that it has made, as one transaction")
    .argument("<name>")
    .option("--plan", "only show what that would do")
    .option("--discard-data", "the data of its block storages may be lost")
    .option("--yes", "without a question");
  withExamples(command, [`${words} NAME --plan`, `${words} NAME --discard-data`]);
  return command.action(async (name: string, flags: Omit<PlannedFlags, "parallel">) => {
    const version = await versionOf(cli, name);
    const stack = { name, version, delete: true };
    const answers = { outputs: [], typeOf: () => undefined };
    await changeStack(cli, { stack, tasks: [], answers }, { ...flags, parallel: 0 });
  });
}
