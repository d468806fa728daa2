import type { DescMethodUnary, Message } from "@bufbuild/protobuf";
import { findCycle } from "../../src/util/dag.ts";
import { didYouMean } from "../../src/util/suggest.ts";
import type { Resource } from "../resource/resource.ts";
import { convertArgs } from "./convert.ts";
import type { Place, Problem } from "./problems.ts";
import { formatPlace } from "./problems.ts";
import type { Word, WrittenTask } from "./task-file.ts";
import { readTasks, whyNoTask } from "./task-file.ts";

/** A task that can run: its method is known and its request is built. */
export interface Task {
  readonly name: string;
  readonly method: DescMethodUnary;
  readonly request: Message;
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
  checkDependencies(written, problems);
  const tasks = new Map<string, Task>();
  for (const task of written.values()) {
    const whole = resolveTask(task, types, problems);
    if (whole !== undefined) tasks.set(task.name, whole);
  }
  return { tasks, problems };
}

function checkDependencies(written: ReadonlyMap<string, WrittenTask>, problems: Problem[]): void {
  for (const task of written.values()) {
    for (const { text, place } of task.dependsOn) {
      if (written.has(text)) continue;
      const hint = whyNoTask(text) || didYouMean(text, written.keys());
      problems.push({ ...place, message: `Depended task '${text}' do not exist${hint}` });
    }
  }
  const dag = new Map([...written].map(([name, t]) => [name, t.dependsOn.map((d) => d.text)]));
  const cycle = findCycle(dag);
  const start = cycle === undefined ? undefined : written.get(cycle[0] ?? "");
  if (cycle === undefined || start === undefined) return;
  const place =
    start.dependsOn.find((d) => d.text === (cycle[1] ?? cycle[0]))?.place ?? start.place;
  const way = [...cycle, cycle[0]].map((name) => `'${name}'`).join(" -> ");
  problems.push({ ...place, message: `This request is not DAG: ${way} depend on each other` });
}

function resolveTask(task: WrittenTask, types: Types, problems: Problem[]): Task | undefined {
  const { name, type, action, ignoreError } = task;
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
  if (method === undefined) return undefined;
  const request = convertArgs(method.input, task.args, task.place, problems);
  if (request === undefined) return undefined;
  const dependsOn = [...new Set(task.dependsOn.map((d) => d.text))];
  return { name, method, request, dependsOn, ignoreError };
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
