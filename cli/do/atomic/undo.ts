import type { CliContext } from "../../context.ts";
import { type PlannedFlags, runPlanned } from "./run-planned.ts";

export type UndoFlags = Omit<PlannedFlags, "parallel">;

/** Plans the undo of a committed transaction, shows it, and runs it as one transaction. Sets the exit code. */
export async function undo(
  cli: CliContext,
  undoOf: string,
  flags: UndoFlags,
  parallel = 0,
): Promise<void> {
  const noOutputs = { outputs: [], typeOf: () => undefined };
  await runPlanned(cli, { undoOf }, noOutputs, { ...flags, parallel });
}
