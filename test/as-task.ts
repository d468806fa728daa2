import {
  create,
  type DescMethodUnary,
  fromJson,
  type JsonObject,
  type MessageInitShape,
  toJson,
} from "@bufbuild/protobuf";
import { canBeTask } from "../src/api/orchestration/tasks/check.ts";
import { resources } from "../src/api/resources.ts";
import {
  type RunTasksRequestSchema,
  type RunTasksResponse,
  TaskService,
} from "../src/gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { through, type World } from "./world.ts";

type WireTask = NonNullable<MessageInitShape<typeof RunTasksRequestSchema>["tasks"]>[number];

/** The name of the task that stands for the request. */
const TASK = "request";

/**
 * The same world, whose clients send each request that can be a task as the only task of a transaction.
 *
 * @param others tasks that are beside it, which may depend on it.
 */
export function asTask(world: World, others: readonly WireTask[] = []): World {
  return through(world, (unary) => async (method, signal, timeoutMs, header, input) => {
    if (!isTask(method)) return await unary(method, signal, timeoutMs, header, input);
    const args = toJson(method.input, create(method.input, input), { useProtoFieldName: true });
    const type = method.parent.name.replace(/Service$/, "");
    const task = { name: TASK, type, action: method.name, args: args as JsonObject };
    const run = TaskService.method.runTasks;
    const request = { tasks: [task, ...others] };
    const whole = await unary(run, signal, timeoutMs, header, request);
    const { tasks } = whole.message as RunTasksResponse;
    const answer = tasks.find(({ name }) => name === TASK)?.answer ?? {};
    return { ...whole, method, service: method.parent, message: fromJson(method.output, answer) };
  });
}

export function isTask(method: DescMethodUnary): boolean {
  const kind = resources.find(({ service }) => service.typeName === method.parent.typeName);
  return kind !== undefined && canBeTask(kind, method);
}

const NAMES = new Set(
  resources
    .flatMap(({ service }) => service.methods)
    .filter((method) => method.methodKind === "unary" && isTask(method as DescMethodUnary))
    .map(({ name }) => name),
);

/** Whether the RPC of this name can be a task. */
export function isTaskName(rpc: string): boolean {
  return NAMES.has(rpc);
}
