import { expect, test } from "vitest";
import { stepRegistryOf } from "../src/api/core/resource/resource.ts";
import { resources } from "../src/api/resources.ts";
import { stepCollection, transactionCollection } from "../src/datastore/datastore-journal.ts";
import {
  type PlannedStep,
  type PlanTasksResponse,
  TaskStatus_State as State,
  TaskService,
} from "../src/gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { nodeOf, type StepRow, subjectOf } from "../src/transaction/journal.ts";
import { placeOf, placeText } from "../src/util/task-place.ts";
import { planRandom, prepareAll } from "./random-dags.ts";
import { comparable, stillClock } from "./saga-cases.ts";
import { type Dice, newDice } from "./sim/dice.ts";
import { newWorld, type World } from "./world.ts";

const registry = stepRegistryOf(resources);
const FAILURES = 3;

/** The rows of the last transaction of tasks, in the order in which they began. */
async function lastRows(world: World): Promise<readonly StepRow[]> {
  const { records } = world.opened.api;
  const all = await records.list(transactionCollection);
  // The clock stands still, so the last one written is the last.
  const [last] = all
    .filter(({ value }) => value.kind === "RunTasks")
    .sort((a, b) => b.revision - a.revision);
  const rows = await records.list(stepCollection, [last!.value.id]);
  return rows
    .map(({ value }) => value)
    .filter(({ name }) => !name.startsWith("task."))
    .sort((a, b) => a.seq - b.seq);
}

const plannedText = ({ name, subject, node }: PlannedStep) => `${name} ${subject} ${node}`;
const ranText = (row: StepRow) => `${row.name} ${subjectOf(row) ?? ""} ${nodeOf(row) ?? ""}`;
const plannedUndo = (step: PlannedStep) => comparable([plannedText(step), step.undoRemoves]);
const ranUndo = (row: StepRow) =>
  comparable([ranText(row), registry.step(row.name).leaves?.(row.input) ?? ""]);

function placesIn({ tasks }: PlanTasksResponse, args: ReadonlyMap<string, object>) {
  return tasks.flatMap(({ status }) => {
    if (status?.state !== State.DONE) return [];
    const { node, addresses } = placeOf(status.answer, args.get(status.name) as never);
    return [{ task: status.name, node, addresses: [...addresses] }];
  });
}

/** What clients see of what plans might disturb. */
async function shownBy(world: World) {
  const [machines, residue] = [
    await world.virtualMachines.listVirtualMachines({}),
    await world.residue(),
  ];
  return { machines, residue };
}

class InjectedFailure extends Error {}

/** Fails at this step of the tasks, of those that act. Returns the rows whose undos run, in this order. */
function failAt(world: World, index: number, point: "before_act" | "after_act"): number[] {
  const undone: number[] = [];
  let left = index;
  world.faults = (place) => {
    if (place.kind !== "RunTasks" || place.step.startsWith("task.")) return;
    if (place.point === point && left-- === 0) throw new InjectedFailure();
    if (place.point === "before_undo") undone.push(place.seq);
  };
  return undone;
}

/** With a failure at a random step, what was planned of the steps so far is undone, backwards. */
async function failsAsPlanned(
  world: World,
  dice: Dice,
  request: Parameters<typeof send>[1],
  plan: PlanTasksResponse,
): Promise<void> {
  const before = await world.residue();
  const count = plan.tasks.flatMap(({ steps }) => steps).length;
  const undone = failAt(world, dice.below(count), dice.pick(["before_act", "after_act"]));
  await expect(send(world, request)).rejects.toThrow("internal error");
  await world.opened.api.engine.settled();
  world.faults = () => {};
  expect(await world.residue()).toEqual(before);
  const rows = await lastRows(world);
  const bySeq = new Map(rows.map((row) => [row.seq, row]));
  expect(undone).toEqual([...undone].sort((a, b) => b - a));
  expect(rows.filter(({ phase }) => phase !== "undone")).toEqual([]);
  const undoneRows = undone.map((one) => bySeq.get(one)!);
  for (const { status, steps } of plan.tasks) {
    const ran = undoneRows.filter(({ task }) => task === status?.name).map(ranUndo);
    const planned = steps.slice(0, ran.length).reverse().map(plannedUndo);
    expect(ran, status?.name).toEqual(planned);
  }
}

async function send(world: World, request: object) {
  return await world.client(TaskService).runTasks(request);
}

test.for([1, 2, 3, 4, 5, 6, 7, 8])(
  "seed %i: what runs and what is undone is what was planned",
  async (seed) => {
    const dice = newDice(`dags ${seed}`);
    await using world = await newWorld({ nodeCount: 2, clock: stillClock, inMemory: true });
    await prepareAll(world);
    const shown = await shownBy(world);
    const { tasks, plan } = await planRandom(world, dice, 14);
    expect(await shownBy(world)).toEqual(shown);
    const args = new Map(tasks.map((task) => [task.name, task.args]));
    const places = placesIn(plan, args);
    expect(plan.others).toEqual([]);
    const parallel = seed % 2 === 0 ? 4 : 1;

    for (let i = 0; i < FAILURES; i++) {
      await failsAsPlanned(world, dice, { tasks, places, parallel }, plan);
    }

    const again = await world.client(TaskService).planTasks({ tasks });
    expect(comparable(again.tasks.map(({ steps }) => steps))).toEqual(
      comparable(plan.tasks.map(({ steps }) => steps)),
    );
    const { restsOn } = again;
    const ran = await send(world, { tasks, places, restsOn, parallel });
    await world.opened.api.engine.settled();
    const rows = await lastRows(world);
    for (const { status, steps } of plan.tasks) {
      const own = rows.filter(({ task, phase }) => task === status?.name && phase !== "done");
      expect(own.map(ranText), status?.name).toEqual(steps.map(plannedText));
    }
    const finals = rows.filter(({ phase }) => phase === "done").map(ranText);
    expect(finals.sort()).toEqual(plan.finals.map(plannedText).sort());
    const texts = ({ tasks: all }: { readonly tasks: readonly (typeof ran.tasks)[number][] }) =>
      all.map(
        ({ name, state, answer }) =>
          `${name} ${state} ${placeText(placeOf(answer, args.get(name)))}`,
      );
    expect(texts(ran)).toEqual(texts({ tasks: plan.tasks.map(({ status }) => status!) }));
  },
);
