import type { DescMethodUnary, JsonObject } from "@bufbuild/protobuf";
import type { Task as WireTask } from "../../../gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { findCycle, findMissing } from "../../../util/dag.ts";
import { invalid, type N0Error } from "../../../util/errors.ts";
import { quote } from "../../../util/quote.ts";
import { didYouMean } from "../../../util/suggest.ts";
import { checkArgs, referencesIn } from "../../../util/template/check.ts";
import { pathText } from "../../../util/template/walk.ts";
import type { Kind } from "../../core/context.ts";
import type { Resource } from "../../core/resource/resource.ts";
import { isOfTasks } from "../../core/saga/changes.ts";
import { changesSomething, type Methods } from "./methods.ts";

/** A task whose method is known. */
export interface CheckedTask {
  readonly name: string;
  readonly kind: Kind;
  readonly method: DescMethodUnary;
  readonly args: JsonObject;
  readonly dependsOn: readonly string[];
  readonly ignoreError: boolean;
}

/** By each word that a task may write as its type. */
export type Types = ReadonlyMap<string, Resource>;

/** What a request for tasks is checked against. */
export interface Known {
  readonly types: Types;
  readonly methods: Methods;
}

export function typesOf(resources: readonly Resource[]): Types {
  return new Map(
    resources.flatMap((resource) => [
      [resource.kind, resource],
      [resource.service.name.replace(/Service$/, ""), resource],
    ]),
  );
}

/**
 * Checks all tasks before any runs.
 *
 * @throws N0Error `invalid_argument` that names the first wrong field.
 */
export function checkTasks(
  known: Known,
  tasks: readonly WireTask[],
): ReadonlyMap<string, CheckedTask> {
  const checked = new Map<string, CheckedTask>();
  for (const [i, task] of tasks.entries()) {
    const { name, ignoreError, args = {} } = task;
    if (checked.has(name)) throw invalid(`tasks[${i}].name`, `two tasks are named ${quote(name)}`);
    const { kind, method } = findMethod(known, task, `tasks[${i}].`);
    const referred = referencesIn(args).map(({ reference }) => reference.name);
    const dependsOn = [...new Set([...task.dependsOn, ...referred])];
    checked.set(name, { name, kind, method, args, dependsOn, ignoreError });
  }
  const index = new Map(tasks.map(({ name }, i) => [name, i]));
  throwUnlessDag(checked, (name) => `tasks[${index.get(name)}].depends_on`);
  const answers = new Map([...checked.values()].map(({ name, method }) => [name, method.output]));
  for (const [i, { name, method, args }] of [...checked.values()].entries()) {
    const [wrong] = checkArgs(method.input, args, answers);
    if (wrong === undefined) continue;
    const field = pathText(["tasks", i, "args", ...wrong.path]);
    throw invalid(field, `task ${quote(name)}: ${wrong.message}`);
  }
  return checked;
}

function findMethod({ types, methods }: Known, { name, type, action }: WireTask, prefix: string) {
  const resource = types.get(type);
  if (resource === undefined) {
    const hint = didYouMean(type, types.keys());
    const kinds = [...new Set(types.values())].map(({ kind }) => kind).join(", ");
    throw invalid(`${prefix}type`, `there is no type ${quote(type)}${hint}; there are ${kinds}`);
  }
  const actions = methods.of(resource.service);
  const method = actions.find((one) => one.name === action);
  if (method === undefined) {
    const names = actions.map((one) => one.name);
    const hint = didYouMean(action, names) || `; there are ${names.join(", ")}`;
    const rule = `task ${quote(name)}: type ${quote(type)} has no action ${quote(action)}${hint}`;
    throw invalid(`${prefix}action`, rule);
  }
  if (changesSomething(method) && !canBeTask(resource, method)) {
    throw notATask(name, action, prefix);
  }
  return { kind: resource, method };
}

/** Whether the method changes objects that a project holds and that give no rights. */
export function canBeTask(kind: Kind, method: DescMethodUnary): boolean {
  return isOfTasks(kind) && changesSomething(method) && !isLink(method);
}

/** It changes no object, and answers a link that soon ends. */
function isLink({ output }: DescMethodUnary): boolean {
  return ["OpenConsoleResponse", "DownloadBlockStorageResponse"].includes(output.name);
}

function notATask(name: string, action: string, prefix: string): N0Error {
  const rule = `task ${quote(name)}: ${action} cannot be a task of a transaction, because a transaction of tasks changes only block storages, images, networks, security groups and virtual machines: call it by itself`;
  return invalid(`${prefix}action`, rule);
}

function throwUnlessDag(
  tasks: ReadonlyMap<string, CheckedTask>,
  fieldOf: (name: string) => string,
): void {
  const dag = new Map([...tasks].map(([name, { dependsOn }]) => [name, dependsOn]));
  const [missing] = findMissing(dag);
  if (missing !== undefined) {
    const { node, dependency } = missing;
    const hint = didYouMean(dependency, tasks.keys());
    throw invalid(
      fieldOf(node),
      `task ${quote(node)} depends on task ${quote(dependency)}, which does not exist${hint}`,
    );
  }
  const cycle = findCycle(dag);
  if (cycle === undefined) return;
  const way = [...cycle, cycle[0] ?? ""].map(quote).join(" -> ");
  throw invalid(fieldOf(cycle[0] ?? ""), `these tasks depend on each other: ${way}`);
}

/**
 * The objects that the tasks make, change or delete, as far as their requests name them without a reference to
 * another task. Taken before any task runs: then another transaction cannot come in between.
 */
export function objectsAhead(
  { types }: Pick<Known, "types">,
  tasks: Iterable<CheckedTask>,
): readonly { readonly kind: Kind; readonly name: string }[] {
  const byMessage = new Map([...types.values()].map((one) => [one.schema.typeName, one]));
  return [...tasks].flatMap(({ kind: own, method, args }) => {
    if (!changesSomething(method)) return [];
    const kind = byMessage.get(method.output.typeName) ?? own;
    const field = kind === own && hasField(method, "name") ? "name" : `${kind.kind}_name`;
    const name = hasField(method, field) ? args[field] : undefined;
    const isKnown = typeof name === "string" && isPlainName(name);
    return isKnown ? [{ kind, name }] : [];
  });
}

function hasField({ input }: DescMethodUnary, name: string): boolean {
  return input.fields.some((field) => field.name === name);
}

/** Whether it is a name, and not a reference to another task or something that its RPC refuses. */
function isPlainName(text: string): boolean {
  return /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/.test(text);
}
