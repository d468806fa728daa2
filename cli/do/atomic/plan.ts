import { create } from "@bufbuild/protobuf";
import {
  PlannedChange_Effect as Effect,
  type PlannedChange,
  type PlannedStep,
  type PlannedTask,
  PlanTasksRequestSchema,
  type PlanTasksResponse,
  PlanTasksResponseSchema,
  TaskService,
  type Task as WireTask,
} from "../../../src/gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { formatBytes } from "../../../src/util/bytes.ts";
import { counted } from "../../../src/util/counted.ts";
import { DEFAULT_SCOPE } from "../../../src/util/ref.ts";
import { placeOf, placeText, type TaskPlace } from "../../../src/util/task-place.ts";
import { callUnary } from "../../call.ts";
import type { CliContext } from "../../context.ts";
import { EXIT } from "../../exit-code.ts";
import { formatValue, messageToJson } from "../../output.ts";
import type { Checked } from "../check.ts";
import { throwUnlessForPlan, writePlan } from "./plan-file.ts";
import { wireTask } from "./wire-task.ts";

/**
 * Prints what running the tasks would do, as one transaction. The exit code says whether that is anything.
 *
 * @param out The file that keeps the plan for `--apply`.
 */
export async function planAtomic(
  cli: CliContext,
  { tasks, outputs }: Pick<Checked, "tasks" | "outputs">,
  out?: string,
): Promise<void> {
  if (out !== undefined) await throwUnlessForPlan(out);
  const wireTasks = [...tasks.values()].map(wireTask);
  const request = create(PlanTasksRequestSchema, { tasks: wireTasks });
  const planned = await callUnary(cli, TaskService.method.planTasks, request);
  await printPlan(cli, planned, wireTasks);
  if (out === undefined || cli.exitCode === EXIT.conflict) return;
  const { baseUrl: api, project = DEFAULT_SCOPE } = await cli.connection();
  await writePlan(out, { api, project, tasks: wireTasks, outputs, planned }, cli.io.random);
  cli.say(`Only you can read ${out}: it holds the values of all parameters, also secret ones.`);
  cli.say(`n0cli do --apply ${out} does what it says.`);
}

/**
 * Prints the plan as the data of the command. The exit code says whether it would change anything.
 *
 * @param wireTasks What was planned, if it is known here.
 */
export async function printPlan(
  cli: CliContext,
  planned: PlanTasksResponse,
  wireTasks: readonly WireTask[] = [],
): Promise<void> {
  const format = cli.flags().output;
  if (format === "json" || format === "jsonl" || format === "yaml") {
    const json = messageToJson(PlanTasksResponseSchema, planned);
    cli.io.stdout.print(await formatValue(format, json));
  } else {
    const end = `${counted(planned.tasks.length, "task")}. Nothing was changed.\n`;
    cli.io.stdout.print(`${planText(planned, wireTasks)}${end}`);
  }
  const different = planned.tasks.filter(isRefused);
  if (different.length > 0) {
    cli.say(`It would be refused: ${counted(different.length, "object")} of it exist and differ`);
    cli.exitCode = EXIT.conflict;
  } else cli.exitCode = planned.changes.length === 0 ? EXIT.done : EXIT.findings;
}

/** In lines, for people. */
export function planText(plan: PlanTasksResponse, wireTasks: readonly WireTask[] = []): string {
  const { tasks, finals, others } = plan;
  const lines = [
    ...tasks.flatMap((task, i) => taskLines(task, wireTasks[i])),
    ...others.flatMap(({ rpc, steps }) => [
      `${rpc}, a transaction of its own, which stays if the tasks are undone`,
      ...steps.map((step) => `    ${stepText(step)}`),
    ]),
    ...(finals.length === 0 ? [] : ["When all tasks are done; this cannot be undone:"]),
    ...finals.map((step) => `    ${stepText(step)}`),
    ...changesText(plan),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

function taskLines({ status, steps, differences }: PlannedTask, task?: WireTask): string[] {
  const { name = "", action = "", answer, unchanged = false } = status ?? {};
  const isThere = unchanged && differences.length === 0 ? ": it is there already" : "";
  return [
    `${name}: ${action}${whereText(placeOf(answer, task?.args))}${isThere}`,
    ...steps.map((step) => `    ${stepText(step)}`),
    ...differences.map(({ field, present, wanted }) =>
      isRefused({ status, differences })
        ? `    ! it exists, and ${field} is ${present}, not ${wanted}`
        : `    ~ ${field} is ${present}, and becomes ${wanted}`,
    ),
  ];
}

/** A task whose object exists and differs; a stack changes such an object. */
function isRefused({ status, differences }: Pick<PlannedTask, "status" | "differences">): boolean {
  return differences.length > 0 && status?.unchanged === true;
}

/** ` (node-1, 10.0.0.253)`: where the object of a task would be. */
function whereText(place: TaskPlace): string {
  return place.node === "" && place.addresses.length === 0 ? "" : ` (${placeText(place)})`;
}

/** A line for each object and each amount that would not be as before. */
export function changesText({ changes, uses, finals }: PlanTasksResponse): readonly string[] {
  const restarted = new Set(finals.filter(isStart).map(({ subject }) => subject));
  return [
    ...(changes.length === 0 ? ["Nothing would change."] : ["Then:"]),
    ...changes.flatMap((change) => [
      `  ${changeText(change)}${isOf(restarted, change) ? " (it is restarted)" : ""}`,
      ...change.differences.map(
        ({ field, present, wanted }) => `      ${field}: ${present} -> ${wanted}`,
      ),
    ]),
    ...uses.map(({ amount, before, after }) => `  ${amount} of the project: ${before} -> ${after}`),
  ];
}

/** Of a virtual machine that runs, at the end of its restart. */
function isStart({ name }: PlannedStep): boolean {
  return name === "domain.start_again";
}

function isOf(machines: ReadonlySet<string>, { kind, name }: PlannedChange): boolean {
  return kind === "virtual_machine" && machines.has(name);
}

/** `+ virtual_machine/web`, or `-/+ block_storage/web (20GiB of data are lost)` */
export function changeText({ effect, kind, name, lostBytes }: PlannedChange): string {
  const what = `${kind}/${name}`;
  if (lostBytes === 0n) return `${SIGNS[effect]} ${what}`;
  return `-/+ ${what} (${formatBytes(lostBytes)} of data are lost)`;
}

const SIGNS: Readonly<Record<Effect, string>> = {
  [Effect.UNSPECIFIED]: "?",
  [Effect.CREATE]: "+",
  [Effect.CHANGE]: "~",
  [Effect.DELETE]: "-",
};

/** `domain.start_new of web on node-1; its undo removes the domain "web"` */
function stepText(step: PlannedStep): string {
  return `${actText(step)}${step.undoRemoves === "" ? "" : `; its undo removes ${step.undoRemoves}`}`;
}

/** `domain.start_new of web on node-1` */
export function actText({ name, subject, node }: PlannedStep): string {
  return `${name}${subject === "" ? "" : ` of ${subject}`}${node === "" ? "" : ` on ${node}`}`;
}
