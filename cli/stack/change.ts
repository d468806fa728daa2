import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  GetStackRequestSchema,
  StackService,
} from "../../src/gen/n0stack/stack/v1alpha1/stack_pb.ts";
import {
  PlannedChange_Effect as Effect,
  type PlanTasksResponse,
  type StackChangeSchema,
} from "../../src/gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";
import type { Answers } from "../do/atomic/run-atomic.ts";
import { type PlannedFlags, runPlanned, throwUnlessAskable } from "../do/atomic/run-planned.ts";
import { wireTask } from "../do/atomic/wire-task.ts";
import type { CheckedTexts } from "../do/read.ts";
import { EXIT } from "../exit-code.ts";
import { lacksProject } from "../failure.ts";
import { checkStack, driftLines, isMoved } from "./drift.ts";

/** A change of a stack, as tasks that the API runs. */
export interface Change {
  readonly stack: MessageInitShape<typeof StackChangeSchema>;
  readonly tasks: readonly ReturnType<typeof wireTask>[];
  readonly answers: Answers;
}

/** The version of a stack; 0 if there is none. */
export async function versionOf(cli: CliContext, name: string): Promise<number> {
  try {
    const request = create(GetStackRequestSchema, { name });
    const { stack } = await callUnary(cli, StackService.method.getStack, request);
    return stack?.version ?? 0;
  } catch (reason) {
    const isNew = reason instanceof ConnectError && reason.code === Code.NotFound;
    if (!isNew || lacksProject(reason, await cli.connection())) throw reason;
    return 0;
  }
}

/** Changes a stack to what a file says. For its errors see `changeStack`. */
export async function applyChecked(
  cli: CliContext,
  name: string,
  { tasks, outputs, parameters, texts }: CheckedTexts,
  version: number,
  flags: PlannedFlags,
): Promise<void> {
  const stack = {
    ...{ name, version, file: texts[0]?.text ?? "", parameters },
    outputs: Object.fromEntries(outputs.map((one) => [one.name, one.json])),
  };
  const typeOf = (task: string) => tasks.get(task)?.method.output;
  const change = { stack, tasks: [...tasks.values()].map(wireTask), answers: { outputs, typeOf } };
  await changeStack(cli, change, flags);
}

/** Plans the change, shows it with what somebody has changed by hand, asks, and runs it. Sets the exit code. */
export async function changeStack(
  cli: CliContext,
  { stack, tasks, answers }: Change,
  flags: PlannedFlags,
): Promise<void> {
  throwUnlessAskable(cli, flags);
  if (stack.version !== 0) await sayDrift(cli, stack.name ?? "");
  const plan = await runPlanned(cli, { tasks: [...tasks], stack }, answers, flags);
  if (flags.plan && isNothing(plan)) cli.exitCode = EXIT.done;
}

/** Only the stack would get another version. */
function isNothing({ changes }: PlanTasksResponse): boolean {
  return changes.every(({ kind, effect }) => kind === "stack" && effect === Effect.CHANGE);
}

/** What somebody has changed by hand, before it is changed back. */
async function sayDrift(cli: CliContext, name: string): Promise<void> {
  const { stack, objects } = await checkStack(cli, name);
  const moved = objects.filter(isMoved);
  if (moved.length === 0) return;
  cli.say(`Since version ${stack?.version} somebody has changed:`);
  for (const one of moved) {
    const lines = driftLines(one);
    cli.say(`  ${one.kind}/${one.name}${lines.length === 0 ? " is gone" : ""}`);
    for (const line of lines) cli.say(`      ${line}`);
  }
}
