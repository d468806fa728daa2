import { create } from "@bufbuild/protobuf";
import {
  PlanTasksRequestSchema,
  TaskService,
} from "../../../src/gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { callUnary } from "../../call.ts";
import type { CliContext } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { agree } from "./agree.ts";
import { planText, printPlan } from "./plan.ts";
import { runRequest } from "./run-atomic.ts";

export interface UndoFlags {
  /** The data of block storages that the transaction has made may go. */
  readonly discardData?: true;
  /** Only shows what would happen. */
  readonly plan?: true;
  /** Without a question. */
  readonly yes?: true;
}

/** Plans the undo of a committed transaction, shows it, and runs it as one transaction. Sets the exit code. */
export async function undo(
  cli: CliContext,
  undoOf: string,
  { discardData, plan: planOnly, yes }: UndoFlags,
  parallel = 0,
): Promise<void> {
  const isAsked = planOnly !== true && yes !== true;
  if (isAsked && !cli.io.stdin.isTerminal) {
    throw new CliError("nobody can be asked here: add --yes to undo it, or --plan to see the undo");
  }
  const asked = { undoOf, discardData: discardData === true };
  const { planTasks } = TaskService.method;
  const plan = await callUnary(cli, planTasks, create(PlanTasksRequestSchema, asked));
  if (planOnly === true) return await printPlan(cli, plan);
  cli.io.stderr.print(planText(plan));
  if (isAsked) await agree(cli);
  const { restsOn } = plan;
  const noOutputs = { outputs: [], typeOf: () => undefined };
  await runRequest(cli, { ...asked, restsOn, parallel }, noOutputs);
}
