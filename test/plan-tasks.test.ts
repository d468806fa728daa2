import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { stepCollection, transactionCollection } from "../src/datastore/datastore-journal.ts";
import {
  type PlanTasksResponse,
  RunTasksRequestSchema,
  TaskService,
} from "../src/gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { nodeOf, subjectOf } from "../src/transaction/journal.ts";
import { defined } from "../src/util/defined.ts";
import { asTask, isTaskName } from "./as-task.ts";
import { CASES_IN_ORDER } from "./cases.ts";
import { type RpcCase, stillClock } from "./saga-cases.ts";
import { newWorld, through, type World } from "./world.ts";

const cases = CASES_IN_ORDER.filter(({ rpc }) => isTaskName(rpc) || rpc === "RunTasks");

type Asked = MessageInitShape<typeof RunTasksRequestSchema>;

/** The same world, whose RunTasks is planned before it runs. */
function planning(world: World, plans: PlanTasksResponse[]): World {
  const { runTasks } = TaskService.method;
  return through(world, (unary) => async (method, signal, timeoutMs, header, input) => {
    if (method.name === runTasks.name) {
      const { tasks, undoOf, discardData, stack } = create(RunTasksRequestSchema, input as Asked);
      const asked = { tasks, undoOf, discardData, ...defined({ stack }) };
      const before = await world.residue();
      const plan = await unary(TaskService.method.planTasks, signal, timeoutMs, header, asked);
      plans.push(plan.message as PlanTasksResponse);
      expect(await world.residue()).toEqual(before);
    }
    return await unary(method, signal, timeoutMs, header, input);
  });
}

test.for(cases)("$rpc, $about: runs as planned", async (rpcCase: RpcCase) => {
  const { nodeCount = 1, prepare, call, rpc } = rpcCase;
  await using world = await newWorld({ nodeCount, clock: stillClock, inMemory: true });
  await prepare(world);
  const plans: PlanTasksResponse[] = [];
  const known = new Set(await idsOf(world));
  const planned = planning(world, plans);
  await call(rpc === "RunTasks" ? planned : asTask(planned));
  await world.opened.api.engine.settled();
  const [plan] = plans;
  const steps = [
    ...plan!.tasks.flatMap(({ steps }) => steps),
    ...plan!.finals,
    ...plan!.others.flatMap(({ steps }) => steps),
  ];
  const ids = (await idsOf(world)).filter((id) => !known.has(id));
  const rows = (
    await Promise.all(ids.map((id) => world.opened.api.records.list(stepCollection, [id])))
  ).flat();
  const ran = rows.map(({ value }) => value).filter(({ name }) => !name.startsWith("task."));
  const text = (name: string, subject = "", node = "") => `${name} ${subject} ${node}`;
  expect(steps.map((s) => text(s.name, s.subject, s.node)).sort()).toEqual(
    ran.map((row) => text(row.name, subjectOf(row), nodeOf(row))).sort(),
  );
});

async function idsOf(world: World) {
  return (await world.opened.api.records.list(transactionCollection)).map(({ value }) => value.id);
}
