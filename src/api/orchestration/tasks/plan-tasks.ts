import { create } from "@bufbuild/protobuf";
import type { Writes } from "../../../datastore/datastore.ts";
import type { OverlayDatastore } from "../../../datastore/overlay/overlay-datastore.ts";
import {
  PlannedChange_Effect as Effect,
  ObjectRevisionSchema,
  PlannedChangeSchema,
  PlannedStepSchema,
  PlannedUseSchema,
  type PlanTasksRequest,
  type PlanTasksResponse,
  PlanTasksResponseSchema,
  RunTasksRequestSchema,
} from "../../../gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { nodeOf, type StepRow, subjectOf } from "../../../transaction/journal.ts";
import type { LiveTransaction } from "../../../transaction/live.ts";
import type { StepRegistry } from "../../../transaction/registry.ts";
import { defined } from "../../../util/defined.ts";
import { N0Error } from "../../../util/errors.ts";
import type { Call, SagaContext } from "../../core/context.ts";
import { AMOUNTS } from "../../core/quota/amounts.ts";
import { quotaOfProject } from "../../core/quota/collection.ts";
import { type Difference, type Different, differencesIn } from "../../core/resource/differences.ts";
import { beginTask, commitTask, listTasks } from "../../core/saga/tasks/task-steps.ts";
import { whereOf } from "../../core/where.ts";
import type { Api } from "../../provisioning/context.ts";
import { undoingOf } from "../undo/kinds.ts";
import type { Known, Types } from "./check.ts";
import type { Methods } from "./methods.ts";
import { throwIfMoved } from "./moved.ts";
import { isOfProject, kindOf } from "./of-project.ts";
import { runTasks } from "./run-tasks.ts";

/** A copy of the control plane that shows what would happen: no write goes beyond it, no act reaches a node. */
export interface Planning extends AsyncDisposable {
  readonly api: Api;
  readonly methods: Methods;
  readonly layer: OverlayDatastore;
}

/**
 * Runs the tasks on a copy of the records, without the acts on nodes, and says what that did.
 *
 * @throws what RunTasks would throw.
 */
export async function planTasks(
  api: Api,
  types: Types,
  openPlanning: () => Promise<Planning>,
  call: Call,
  { tasks, undoOf, discardData, restsOn, places, stack, allowRestart }: PlanTasksRequest,
): Promise<PlanTasksResponse> {
  await throwIfMoved(api, call, restsOn);
  // A plan is as much work as a run, up to its acts.
  using _place = api.engine.admit(whereOf(call.values).project);
  await using planning = await openPlanning();
  const known: Known = { types, methods: planning.methods };
  // One at a time, so that two plans of one file are the same.
  const asked = { tasks, undoOf, discardData, places, allowRestart, ...defined({ stack }) };
  const request = create(RunTasksRequestSchema, { ...asked, parallel: 1 });
  const inPlan = { ...call, responseHeader: new Headers() };
  const live = planning.api.engine.live;
  const seen = new Map<string, LiveTransaction>();
  const stop = live.onChange((id) => {
    const one = live.find(id);
    if (one !== undefined) seen.set(id, one);
  });
  const found = new Map<string, Different>();
  const hear = (task: string, different: Different) => found.set(task, different);
  const ran = await runTasks(planning.api, known, inPlan, request, hear).catch(
    throwWithoutTransaction,
  );
  stop();
  const { transactionId, tasks: statuses } = ran;
  const rows = seen.get(transactionId)?.rows ?? [];
  const byTask = Map.groupBy(rows, ({ task = "" }) => task);
  const { registry } = api.engine;
  const others = [...seen].filter(([id]) => id !== transactionId);
  return create(PlanTasksResponseSchema, {
    tasks: statuses.map((status) => ({
      status,
      steps: plannedSteps(registry, byTask.get(status.name)),
      differences: [...(found.get(status.name)?.differences ?? [])],
    })),
    finals: plannedSteps(registry, rows.filter(isFinal)),
    others: others.map(([, { header, rows }]) => ({
      rpc: header.kind,
      steps: plannedSteps(registry, rows),
    })),
    changes: changesOf(api, call, planning.layer, [...found.values()]),
    uses: usesOf(api, planning.api, call),
    restsOn: revisionsRead(api, call, planning.layer),
  });
}

/** Nobody can look at the transaction of a plan. */
function throwWithoutTransaction(reason: unknown): never {
  if (!(reason instanceof N0Error)) throw reason;
  const { transactionId: _, rollback: __, ...facts } = reason.facts;
  throw new N0Error(reason.kind, reason.message, facts);
}

const OWN_STEPS: ReadonlySet<string> = new Set(
  [listTasks, beginTask, commitTask].map(({ name }) => name),
);

function plannedSteps(registry: StepRegistry<SagaContext, Writes>, rows: readonly StepRow[] = []) {
  return rows
    .filter(({ name }) => !OWN_STEPS.has(name))
    .map((row) => {
      const leaves = isFinal(row) ? undefined : registry.step(row.name).leaves;
      return create(PlannedStepSchema, {
        name: row.name,
        subject: subjectOf(row) ?? "",
        node: nodeOf(row) ?? "",
        undoRemoves: leaves?.(row.input) ?? "",
      });
    });
}

/** Whether it runs after the pivot. */
function isFinal({ phase }: StepRow): boolean {
  return phase === "pending" || phase === "done";
}

/** @param found What tasks have found that differs, and that they replace if it has a loss. */
function changesOf(api: Api, call: Call, layer: OverlayDatastore, found: readonly Different[]) {
  const changes = [];
  for (const [key, after] of layer.changed()) {
    const kind = kindOf(api, key);
    if (kind === undefined || !isOfProject(api, call, key)) continue;
    const before = layer.before(key);
    if (before === undefined && after === undefined) continue;
    const isSame = before && after && kind.collection.isSame(before.value, after.value);
    if (isSame === true) continue;
    const effect =
      before === undefined ? Effect.CREATE : after === undefined ? Effect.DELETE : Effect.CHANGE;
    const { name } = kind.collection.refOf(key);
    const differences = before && after ? fieldsThatChange(key, before.value, after.value) : [];
    const lostBytes = found.find((one) => one.key === key)?.loss?.bytes ?? 0n;
    const change = { effect, kind: kind.kind, name, differences, lostBytes };
    changes.push(create(PlannedChangeSchema, change));
  }
  return changes.sort((a, b) => (`${a.kind}/${a.name}` < `${b.kind}/${b.name}` ? -1 : 1));
}

/** Its state is among them. None for a kind that tasks do not change. */
function fieldsThatChange(key: string, before: Uint8Array, after: Uint8Array): Difference[] {
  const undoing = undoingOf(key);
  if (undoing === undefined) return [];
  const { of, schema, plain } = undoing;
  const [was, is] = [before, after].map((record) => {
    const object = of.decode(record);
    return Object.assign(plain(object), "state" in object ? { state: object.state } : {});
  });
  return [...differencesIn(schema, schema, is!, was!)];
}

function usesOf(before: Api, after: Api, call: Call) {
  const quota = quotaOfProject(whereOf(call.values).project);
  const [was, is] = [before, after].map(({ quotas }) => quotas.used(quota));
  return AMOUNTS.filter((amount) => was![amount] !== is![amount]).map((amount) =>
    create(PlannedUseSchema, { amount, before: was![amount], after: is![amount] }),
  );
}

function revisionsRead(api: Api, call: Call, { reads }: OverlayDatastore) {
  return [...reads]
    .filter(([key]) => isOfProject(api, call, key))
    .map(([key, revision]) => create(ObjectRevisionSchema, { key, revision: BigInt(revision) }));
}
