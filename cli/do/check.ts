import type { DescMethodUnary, JsonValue } from "@bufbuild/protobuf";
import { findCycle } from "../../src/util/dag.ts";
import { didYouMean } from "../../src/util/suggest.ts";
import { type AnswerTypes, checkArgs, checkReferences } from "../../src/util/template/check.ts";
import { pathText } from "../../src/util/template/walk.ts";
import type { Resource } from "../resource/resource.ts";
import { convertArgs } from "./convert.ts";
import { type ExpandedTask, expandTasks } from "./expand.ts";
import { checkOutputs, type Output } from "./outputs.ts";
import {
  type Given,
  shownValues,
  valuesOf,
  type WantedObject,
  wantedObjects,
} from "./parameter-values.ts";
import { readParameters } from "./parameters.ts";
import type { Place, Problem } from "./problems.ts";
import { formatPlace } from "./problems.ts";
import { placeAt } from "./references.ts";
import { hasSecret } from "./substitute.ts";
import { readTaskFile, type Word, type WrittenFile, type WrittenTask } from "./task-file.ts";

/** A task that can run: its method is known and its args are checked. */
export interface Task {
  readonly name: string;
  /** The name of its kind, such as `block_storage`. */
  readonly type: string;
  readonly method: DescMethodUnary;
  /** Proto JSON with proto field names, whose texts may refer to the answers of other tasks. */
  readonly args: JsonValue;
  /** These tasks come first: those that the file names, and those to which `args` refer. */
  readonly dependsOn: readonly string[];
  readonly ignoreError: boolean;
}

export interface TaskText {
  /** As the user named it; `-` for standard input. */
  readonly file: string;
  readonly text: string;
}

export interface Checked {
  readonly tasks: ReadonlyMap<string, Task>;
  readonly outputs: readonly Output[];
  /** The values of the parameters, but for secret ones. */
  readonly parameters: Readonly<Record<string, string>>;
  /** They must exist before any task runs. */
  readonly objects: readonly WantedObject[];
  /** All mistakes. With any of them, no task may run. */
  readonly problems: readonly Problem[];
}

/** By each word that a task may write as its type. */
type Types = ReadonlyMap<string, Resource>;

const NOTHING_GIVEN: Given = { values: [], set: [] };

/** Reads the files as one graph and checks all of it, before any task runs. */
export function checkTasks(
  texts: readonly TaskText[],
  resources: readonly Resource[],
  given: Given = NOTHING_GIVEN,
): Checked {
  const types: Types = new Map(
    resources.flatMap((resource) => [
      [resource.name, resource],
      [resource.typeName, resource],
    ]),
  );
  const problems: Problem[] = [];
  const files = texts.map(({ file, text }) => readTaskFile(file, text, problems));
  const written = writtenTasks(files, problems);
  const declared = files.flatMap((file) => file.parameters);
  const parameters = readParameters(declared, resources, problems);
  const values = valuesOf(parameters, given, problems);
  const { tasks: expanded, scope, isTooMuch } = expandTasks(written, values, problems);
  if (isTooMuch) return { tasks: new Map(), outputs: [], parameters: {}, objects: [], problems };
  checkCycles(expanded, problems);
  const calls = new Map(
    [...written].map(([name, task]) => [name, resolveTask(task, types, problems)]),
  );
  const answers = new Map(
    [...written.keys()].flatMap((name) => {
      const names = scope.groups.get(name)?.values() ?? [name];
      return [...names].map((one) => [one, calls.get(name)?.method.output] as const);
    }),
  );
  const tasks = checkedTasks(expanded, calls, answers, problems);
  const outputEntries = files.flatMap((file) => file.outputs);
  const outputs = checkOutputs(outputEntries, scope, answers, problems);
  const objects = wantedObjects(parameters, values, resources);
  return { tasks, outputs, parameters: shownValues(parameters, values), objects, problems };
}

function writtenTasks(
  files: readonly WrittenFile[],
  problems: Problem[],
): ReadonlyMap<string, WrittenTask> {
  const written = new Map<string, WrittenTask>();
  for (const task of files.flatMap((file) => file.tasks)) {
    const before = written.get(task.name);
    if (before === undefined) written.set(task.name, task);
    else {
      const message = `task "${task.name}" exists already, at ${formatPlace(before.place)}`;
      problems.push({ ...task.place, message });
    }
  }
  return written;
}

function checkCycles(expanded: ReadonlyMap<string, ExpandedTask>, problems: Problem[]): void {
  const dag = new Map([...expanded].map(([name, task]) => [name, task.needs.map((n) => n.name)]));
  const cycle = findCycle(dag);
  const start = cycle === undefined ? undefined : expanded.get(cycle[0] ?? "");
  if (cycle === undefined || start === undefined) return;
  const next = cycle[1] ?? cycle[0];
  const place = start.needs.find(({ name }) => name === next)?.place ?? start.written.place;
  const way = [...cycle, cycle[0]].map((name) => `'${name}'`).join(" -> ");
  problems.push({ ...place, message: `This request is not DAG: ${way} depend on each other` });
}

/** Looks at the instances of a task up to the first one with a problem. */
function checkedTasks(
  expanded: ReadonlyMap<string, ExpandedTask>,
  calls: ReadonlyMap<string, Call | undefined>,
  answers: AnswerTypes,
  problems: Problem[],
): ReadonlyMap<string, Task> {
  const tasks = new Map<string, Task>();
  const broken = new Set<WrittenTask>();
  for (const [name, task] of expanded) {
    const call = calls.get(task.written.name);
    if (call === undefined || broken.has(task.written)) continue;
    const args = checkedArgs(task, call, answers, problems);
    if (args === undefined) {
      broken.add(task.written);
      continue;
    }
    const dependsOn = [...new Set(task.needs.map((need) => need.name))];
    tasks.set(name, { ...call, name, args, dependsOn, ignoreError: task.written.ignoreError });
  }
  return tasks;
}

/** What a task calls. */
type Call = Pick<Task, "type" | "method">;

function resolveTask(task: WrittenTask, types: Types, problems: Problem[]): Call | undefined {
  const { type, action } = task;
  if (type === undefined || action === undefined) return undefined;
  const resource = types.get(type.text);
  if (resource === undefined) {
    const hint = didYouMean(type.text, types.keys());
    const known = [...new Set(types.values())].map((r) => r.name).join(", ");
    const message = `Resource type '${type.text}' do not exist${hint}; there are ${known}`;
    problems.push({ ...type.place, message });
    return undefined;
  }
  const method = resolveAction(resource, type, action, problems);
  return method === undefined ? undefined : { type: resource.name, method };
}

function checkedArgs(
  { args: tree, written }: ExpandedTask,
  { method }: Call,
  answers: AnswerTypes,
  problems: Problem[],
): JsonValue | undefined {
  const before = problems.length;
  const args = convertArgs(method.input, tree, problems);
  const check = problems.length > before ? checkReferences : checkArgs;
  for (const { path, message } of check(method.input, args, answers)) {
    const place = tree === undefined ? written.place : placeAt(tree, path);
    // Only protobuf finds a mistake without a place, such as an invalid time, and shows the value.
    const isShown = path.length > 0 || tree === undefined || !hasSecret(tree);
    const why = isShown ? message : "a value does not fit";
    problems.push({ ...place, message: `${pathText(["args", ...path])}: ${why}` });
  }
  return problems.length > before ? undefined : args;
}

function resolveAction(
  resource: Resource,
  type: Word,
  action: Word,
  problems: Problem[],
): DescMethodUnary | undefined {
  const wrong = (place: Place, message: string) => {
    problems.push({ ...place, message });
    return undefined;
  };
  const method = resource.service.methods.find((m) => m.name === action.text);
  const known = resource.service.methods.filter((m) => m.methodKind === "unary").map((m) => m.name);
  if (method === undefined) {
    const hint = didYouMean(action.text, known) || `; there are ${known.join(", ")}`;
    return wrong(
      action.place,
      `Resource type '${type.text}' do not have action '${action.text}'${hint}`,
    );
  }
  if (method.methodKind !== "unary") {
    return wrong(
      action.place,
      `${action.text} answers with a stream, and a task cannot wait for one`,
    );
  }
  return method as DescMethodUnary;
}
