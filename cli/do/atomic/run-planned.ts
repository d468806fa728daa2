import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  PlanTasksRequestSchema,
  type PlanTasksResponse,
  type RunTasksRequestSchema,
  TaskService,
} from "../../../src/gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { callUnary } from "../../call.ts";
import type { CliContext } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { agree } from "./agree.ts";
import { planText, printPlan } from "./plan.ts";
import { type Answers, runRequest } from "./run-atomic.ts";
import type { wireTask } from "./wire-task.ts";

export interface PlannedFlags {
  /** The data of block storages may go. */
  readonly discardData?: true;
  /** Virtual machines that run may be restarted, if a change of them needs that. */
  readonly restart?: true;
  /** Only shows what would happen. */
  readonly plan?: true;
  /** Without a question. */
  readonly yes?: true;
  /** The number of tasks at a time; 0 for as many as the API likes. */
  readonly parallel: number;
}

/** An undo, or a change of a stack. */
type Asked = Pick<MessageInitShape<typeof RunTasksRequestSchema>, "stack" | "undoOf"> & {
  readonly tasks?: ReturnType<typeof wireTask>[];
};

/** @throws CliError if a question would come, and nobody can answer it. */
export function throwUnlessAskable(cli: CliContext, { plan, yes }: PlannedFlags): void {
  if (plan || yes || cli.io.stdin.isTerminal) return;
  throw new CliError("nobody can be asked here: add --yes to do it, or --plan to see the plan");
}

/**
 * Plans tasks, shows the plan, asks, and runs them as one transaction on the world of the plan. With the flag
 * `plan`, it stops after the first part. Sets the exit code.
 *
 * @returns the plan.
 */
export async function runPlanned(
  cli: CliContext,
  tasks: Asked,
  answers: Answers,
  flags: PlannedFlags,
): Promise<PlanTasksResponse> {
  throwUnlessAskable(cli, flags);
  const { discardData = false, restart: allowRestart = false } = flags;
  const asked = { ...tasks, discardData, allowRestart };
  const request = create(PlanTasksRequestSchema, asked);
  const plan = await callUnary(cli, TaskService.method.planTasks, request);
  if (flags.plan) {
    await printPlan(cli, plan, tasks.tasks);
    return plan;
  }
  cli.io.stderr.print(planText(plan, tasks.tasks));
  if (!flags.yes) await agree(cli);
  const { restsOn } = plan;
  await runRequest(cli, { ...asked, restsOn, parallel: flags.parallel }, answers);
  return plan;
}
