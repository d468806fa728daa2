import type { DescMethodUnary, JsonValue } from "@bufbuild/protobuf";
import { findCycle } from "../../src/util/dag.ts";
import { didYouMean } from "../../src/util/suggest.ts";
import { type AnswerTypes, checkArgs, checkReferences } from "../../src/util/template/check.ts";
import { pathText } from "../../src/util/template/walk.ts";
import type { Resource } from "../resource/resource.ts";
import { convertArgs } from "./convert.ts";
import type { Place, Problem } from "./problems.ts";
import { formatPlace } from "./problems.ts";
import { type Need, needsOf, placeAt } from "./references.ts";
import type { Word, WrittenTask } from "./task-file.ts";
import { readTasks, whyNoTask } from "./task-file.ts";

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
  /** All mistakes. With any of them, no task may run. */
  readonly problems: readonly Problem[];
}

/** By each word that a task may write as its type. */
type Types = ReadonlyMap<string, Resource>;

/** Reads the files as one graph and checks all of it, before any task runs. */
export function checkTasks(texts: readonly TaskText[], resources: readonly Resource[]): Checked {
  const types: Types = new Map(
    resources.flatMap((resource) => [
      [resource.name, resource],
      [resource.typeName, resource],
    ]),
  );
  const problems: Problem[] = [];
  const written = new Map<string, WrittenTask>();
  for (const { file, text } of texts) {
    for (const task of readTasks(file, text, problems)) {
      const before = written.get(task.name);
      if (before === undefined) written.set(task.name, task);
      else {
        const message = `task "${task.name}" exists already, at ${formatPlace(before.place)}`;
        problems.push({ ...task.place, message });
      }
    }
  }
  const needs = new Map([...written].map(([name, task]) => [name, needsOfTask(task)]));
  checkNames(written, problems);
  checkCycles(written, needs, problems);
  const calls = new Map(
    [...written].map(([name, task]) => [name, resolveTask(task, types, problems)]),
  );
  const answers = new Map([...calls].map(([name, call]) => [name, call?.method.output]));
  const tasks = new Map<string, Task>();
  for (const task of written.values()) {
    const { name, ignoreError } = task;
    const call = calls.get(name);
    const args = call === undefined ? undefined : checkedArgs(task, call, answers, problems);
    if (call === undefined || args === undefined) continue;
    const dependsOn = [...new Set(needs.get(name)?.map((need) => need.name))];
    tasks.set(name, { ...call, name, args, dependsOn, ignoreError });
  }
  return { tasks, problems };
}

function needsOfTask({ dependsOn, args }: WrittenTask): readonly Need[] {
  return [...dependsOn.map(({ text, place }) => ({ name: text, place })), ...needsOf(args)];
}

/** The names in depends_on. Those in references are checked with the args. */
function checkNames(written: ReadonlyMap<string, WrittenTask>, problems: Problem[]): void {
  for (const task of written.values()) {
    for (const { text, place } of task.dependsOn) {
      if (written.has(text)) continue;
      const hint = whyNoTask(text) || didYouMean(text, written.keys());
      problems.push({ ...place, message: `Depended task '${text}' do not exist${hint}` });
    }
  }
}

function checkCycles(
  written: ReadonlyMap<string, WrittenTask>,
  needs: ReadonlyMap<string, readonly Need[]>,
  problems: Problem[],
): void {
  const dag = new Map([...needs].map(([name, list]) => [name, list.map((need) => need.name)]));
  const cycle = findCycle(dag);
  const start = cycle === undefined ? undefined : written.get(cycle[0] ?? "");
  if (cycle === undefined || start === undefined) return;
  const next = cycle[1] ?? cycle[0];
  const place = needs.get(start.name)?.find(({ name }) => name === next)?.place ?? start.place;
  const way = [...cycle, cycle[0]].map((name) => `'${name}'`).join(" -> ");
  problems.push({ ...place, message: `This request is not DAG: ${way} depend on each other` });
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
  task: WrittenTask,
  { method }: Call,
  answers: AnswerTypes,
  problems: Problem[],
): JsonValue | undefined {
  const before = problems.length;
  const args = convertArgs(method.input, task.args, problems);
  const check = problems.length > before ? checkReferences : checkArgs;
  const wrong = check(method.input, args, answers);
  for (const { path, message } of wrong) {
    const place = task.args === undefined ? task.place : placeAt(task.args, path);
    problems.push({ ...place, message: `${pathText(["args", ...path])}: ${message}` });
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
