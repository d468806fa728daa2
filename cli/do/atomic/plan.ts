import { create, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import {
  PlannedChange_Effect as Effect,
  type PlannedStep,
  type PlannedTask,
  PlanTasksRequestSchema,
  type PlanTasksResponse,
  PlanTasksResponseSchema,
  TaskService,
} from "../../../src/gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { counted } from "../../../src/util/counted.ts";
import { callUnary } from "../../call.ts";
import type { CliContext } from "../../context.ts";
import { EXIT } from "../../exit-code.ts";
import { formatValue, messageToJson } from "../../output.ts";
import type { Checked } from "../check.ts";
import { wireTask } from "./wire-task.ts";

/** Prints what running the tasks would do, as one transaction. The exit code says whether that is anything. */
export async function planAtomic(cli: CliContext, { tasks }: Checked): Promise<void> {
  const request = create(PlanTasksRequestSchema, { tasks: [...tasks.values()].map(wireTask) });
  await printPlan(cli, await callUnary(cli, TaskService.method.planTasks, request));
}

/** Prints the plan as the data of the command. The exit code says whether it would change anything. */
export async function printPlan(cli: CliContext, plan: PlanTasksResponse): Promise<void> {
  const format = cli.flags().output;
  if (format === "json" || format === "jsonl" || format === "yaml") {
    const json = messageToJson(PlanTasksResponseSchema, plan);
    cli.io.stdout.print(await formatValue(format, json));
  } else {
    const end = `${counted(plan.tasks.length, "task")}. Nothing was changed.\n`;
    cli.io.stdout.print(`${planText(plan)}${end}`);
  }
  const different = plan.tasks.filter(({ differences }) => differences.length > 0);
  if (different.length > 0) {
    cli.say(`It would be refused: ${counted(different.length, "object")} of it exist and differ`);
    cli.exitCode = EXIT.conflict;
  } else cli.exitCode = plan.changes.length === 0 ? EXIT.done : EXIT.findings;
}

/** In lines, for people. */
export function planText(plan: PlanTasksResponse): string {
  const { tasks, finals, others, changes, uses } = plan;
  const lines = [
    ...tasks.flatMap(taskLines),
    ...others.flatMap(({ rpc, steps }) => [
      `${rpc}, a transaction of its own, which stays if the tasks are undone`,
      ...steps.map((step) => `    ${stepText(step)}`),
    ]),
    ...(finals.length === 0 ? [] : ["When all tasks are done; this cannot be undone:"]),
    ...finals.map((step) => `    ${stepText(step)}`),
    ...(changes.length === 0 ? ["Nothing would change."] : ["Then:"]),
    ...changes.map(({ effect, kind, name }) => `  ${SIGNS[effect]} ${kind}/${name}`),
    ...uses.map(({ amount, before, after }) => `  ${amount} of the project: ${before} -> ${after}`),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

function taskLines({ status, steps, differences }: PlannedTask): string[] {
  const { name = "", action = "", answer, unchanged = false } = status ?? {};
  const isThere = unchanged && differences.length === 0 ? ": it is there already" : "";
  return [
    `${name}: ${action}${placesText(answer)}${isThere}`,
    ...steps.map((step) => `    ${stepText(step)}`),
    ...differences.map(
      ({ field, present, wanted }) => `    ! it exists, and ${field} is ${present}, not ${wanted}`,
    ),
  ];
}

/** ` (node-1, 10.0.0.253)`: where the object of an answer would be. */
function placesText(answer: JsonObject = {}): string {
  const { compute_node_name: node = answer["node_name"], nics } = answer;
  const addresses = Array.isArray(nics) ? nics.flatMap(addressesOf) : [];
  const places = [node, ...addresses].filter((place) => typeof place === "string" && place !== "");
  return places.length === 0 ? "" : ` (${places.join(", ")})`;
}

function addressesOf(nic: JsonValue): readonly JsonValue[] {
  if (typeof nic !== "object" || nic === null || Array.isArray(nic)) return [];
  return [nic["ipv4_address"] ?? "", nic["ipv6_address"] ?? ""];
}

const SIGNS: Readonly<Record<Effect, string>> = {
  [Effect.UNSPECIFIED]: "?",
  [Effect.CREATE]: "+",
  [Effect.CHANGE]: "~",
  [Effect.DELETE]: "-",
};

/** `domain.start_new of web on node-1; its undo removes the domain "web"` */
function stepText({ name, subject, node, undoRemoves }: PlannedStep): string {
  const of = subject === "" ? "" : ` of ${subject}`;
  const on = node === "" ? "" : ` on ${node}`;
  const undo = undoRemoves === "" ? "" : `; its undo removes ${undoRemoves}`;
  return `${name}${of}${on}${undo}`;
}
