import { counted } from "../../src/util/counted.ts";
import type { CliContext } from "../context.ts";
import { planAtomic } from "../do/atomic/plan.ts";
import { runAtomic } from "../do/atomic/run-atomic.ts";
import { type Checked, checkTasks } from "../do/check.ts";
import { formatProblems } from "../do/problems.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-code.ts";
import { loadResources } from "../resource/resource.ts";
import { MUTE } from "../root-command.ts";

const PARALLEL = 10;

/**
 * Runs a file of tasks as n0cli do --atomic does: all of it happens, or nothing.
 *
 * @returns whether all of it was done. If not, the exit code says how it ended, and stderr says why.
 */
export async function execute(cli: CliContext, command: string, text: string): Promise<boolean> {
  const checked = await checkedFile(cli, command, text);
  const quiet: CliContext = { ...cli, io: { ...cli.io, stdout: MUTE } };
  await runAtomic(quiet, checked, PARALLEL);
  cli.exitCode = quiet.exitCode;
  return quiet.exitCode === EXIT.done;
}

/** Says what `execute` would do, as n0cli do --plan does. */
export async function plan(cli: CliContext, command: string, text: string): Promise<void> {
  await planAtomic(cli, await checkedFile(cli, command, text));
}

async function checkedFile(cli: CliContext, command: string, text: string): Promise<Checked> {
  const checked = checkTasks([{ file: command, text }], await loadResources(cli.kinds));
  if (checked.problems.length > 0) {
    for (const line of formatProblems(checked.problems, [command])) cli.say(line);
    throw new CliError(`${counted(checked.problems.length, "problem")}. Nothing was run.`);
  }
  return checked;
}
