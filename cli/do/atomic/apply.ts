import { create, type DescMessage } from "@bufbuild/protobuf";
import {
  PlanTasksRequestSchema,
  TaskStatus_State as State,
  TaskService,
} from "../../../src/gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { DEFAULT_SCOPE } from "../../../src/util/ref.ts";
import { placeOf } from "../../../src/util/task-place.ts";
import { callUnary } from "../../call.ts";
import type { Connection } from "../../connection.ts";
import type { CliContext } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { EXIT } from "../../exit-code.ts";
import { loadResources } from "../../resource/resource.ts";
import { agree } from "./agree.ts";
import { differencesOf } from "./differences.ts";
import { changesText } from "./plan.ts";
import { type Plan, readPlan } from "./plan-file.ts";
import { runRequest } from "./run-atomic.ts";

const DIFFERENCES_MAX = 20;

interface Options {
  readonly parallel: number;
  /** Asks nobody. */
  readonly isAgreed: boolean;
}

/** Runs what the plan says, or says why that is not possible any more. Sets the exit code. */
export async function applyPlan(
  cli: CliContext,
  path: string,
  { parallel, isAgreed }: Options,
): Promise<void> {
  const plan = await readPlan(path);
  throwIfOfAnother(path, plan, await cli.connection());
  const request = {
    tasks: [...plan.tasks],
    restsOn: plan.planned.restsOn,
    places: placesOf(plan),
  };
  // Says everything that differs, before anybody is asked. RunTasks checks the same again.
  const again = create(PlanTasksRequestSchema, request);
  const now = await callUnary(cli, TaskService.method.planTasks, again);
  const differences = differencesOf(plan, now);
  if (differences.length > 0) {
    for (const line of differences.slice(0, DIFFERENCES_MAX)) cli.say(line);
    const message = `${path} is out of date: make the plan again. Nothing was changed.`;
    throw new CliError(message, EXIT.conflict);
  }
  for (const line of changesText(now)) cli.say(line);
  if (!isAgreed && cli.io.stdin.isTerminal) await agree(cli);
  const { outputs } = plan;
  await runRequest(cli, { ...request, parallel }, { outputs, typeOf: await typesIn(cli, plan) });
}

/** @throws CliError if the plan is for another API or project than the one of this call. */
function throwIfOfAnother(path: string, { api, project }: Plan, connection: Connection): void {
  if (api !== connection.baseUrl) {
    throw new CliError(
      `${path} is a plan for the API ${api}, not for ${connection.baseUrl}: use --api-endpoint ${api}`,
    );
  }
  const own = connection.project ?? DEFAULT_SCOPE;
  if (project === own) return;
  throw new CliError(
    `${path} is a plan for project "${project}", not for "${own}": use --project ${project}`,
  );
}

/** Of the tasks that are done. */
function placesOf({ tasks, planned }: Plan) {
  return planned.tasks.flatMap(({ status }, i) => {
    if (status?.state !== State.DONE) return [];
    const { node, addresses } = placeOf(status.answer, tasks[i]?.args);
    return [{ task: status.name, node, addresses: [...addresses] }];
  });
}

/** The types of the answers of its tasks. */
async function typesIn(
  cli: CliContext,
  { tasks }: Plan,
): Promise<(name: string) => DescMessage | undefined> {
  const resources = await loadResources(cli.kinds);
  return (name) => {
    const task = tasks.find((one) => one.name === name);
    const resource = resources.find((one) => one.name === task?.type);
    return resource?.service.methods.find((method) => method.name === task?.action)?.output;
  };
}
