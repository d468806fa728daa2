import { didYouMean } from "../../src/util/suggest.ts";
import { type Expansion, expansionOf, TASKS_MAX } from "./for-each.ts";
import type { Values } from "./parameter-values.ts";
import type { Place, Problem } from "./problems.ts";
import { literalOf, type Need, needsOf } from "./references.ts";
import {
  Budget,
  type Each,
  type Instances,
  type Scope,
  substitute,
  TooLong,
} from "./substitute.ts";
import { type Word, type WrittenTask, whyNoTask } from "./task-file.ts";
import type { Tree } from "./yaml-tree.ts";

/** A task of a file, or an instance of one, with the values of its parameters. */
export interface ExpandedTask {
  readonly name: string;
  readonly written: WrittenTask;
  readonly args: Tree | undefined;
  /** The tasks that come first: those in depends_on, and those to which args refer. */
  readonly needs: readonly Need[];
}

/** Thousands of tasks that each wait for thousands of others. */
const NEEDS_MAX = 1_000_000;

export interface Expanded {
  readonly tasks: ReadonlyMap<string, ExpandedTask>;
  /** For what is beside the tasks, such as outputs. */
  readonly scope: Scope;
  /** `tasks` has none, because they would be too many. */
  readonly isTooMuch: boolean;
}

/**
 * All tasks, with an instance for each value of for_each. One with a problem is left out; of the instances of a
 * task, the first one with a problem is the last one that is looked at.
 */
export function expandTasks(
  written: ReadonlyMap<string, WrittenTask>,
  values: Values,
  problems: Problem[],
): Expanded {
  const scope = { values, groups: new Map<string, Instances>(), budget: new Budget() };
  try {
    const eachOf = groupsOf(written, scope, problems);
    if (eachOf === undefined) return { tasks: new Map(), scope, isTooMuch: true };
    const tasks = new Map<string, ExpandedTask>();
    const names = namesOfAll(written, scope.groups);
    const counter = { needs: 0 };
    for (const task of written.values()) {
      for (const one of instancesOf(task, eachOf.get(task.name), scope.groups)) {
        const before = problems.length;
        const own = one.each === undefined ? scope : { ...scope, each: one.each };
        const whole = expandOne(one.name, task, own, names, problems);
        if (whole !== undefined) tasks.set(one.name, whole);
        counter.needs += whole?.needs.length ?? 0;
        if (counter.needs > NEEDS_MAX) {
          throw new TooLong(`the tasks depend on each other more than ${NEEDS_MAX} times`);
        }
        if (problems.length > before) break;
      }
    }
    return { tasks, scope, isTooMuch: false };
  } catch (reason) {
    if (!(reason instanceof TooLong)) throw reason;
    const [first] = written.values();
    problems.push({ ...(first?.place as Place), message: reason.message });
    return { tasks: new Map(), scope, isTooMuch: true };
  }
}

/** The instances of each task with for_each; undefined if there are too many tasks. Fills `scope.groups`. */
function groupsOf(
  written: ReadonlyMap<string, WrittenTask>,
  scope: Scope & { readonly groups: Map<string, Instances> },
  problems: Problem[],
): ReadonlyMap<string, readonly Each[]> | undefined {
  const expansions = new Map<string, Expansion>();
  let count = 0;
  for (const task of written.values()) {
    const expansion = expansionOf(task, scope, problems);
    if (expansion !== undefined) expansions.set(task.name, expansion);
    count += expansion?.count ?? 1;
    if (count > TASKS_MAX) {
      const message = `the files have more than ${TASKS_MAX} tasks, with the instances of for_each: run fewer at a time`;
      problems.push({ ...(expansion?.place ?? task.place), message });
      return undefined;
    }
  }
  const eachOf = new Map([...expansions].map(([name, e]) => [name, e.instances(problems)]));
  for (const task of written.values()) {
    if (task.forEach === undefined) continue;
    const keys = eachOf.get(task.name) ?? [];
    const instances = new Map(keys.map(({ key }) => [key, `${task.name}[${key}]`]));
    scope.groups.set(task.name, instances);
    const taken = [...instances.values()].find((name) => written.has(name));
    if (taken === undefined) continue;
    const message = `an instance of "${task.name}" is called "${taken}", as another task is`;
    problems.push({ ...task.place, message });
  }
  return eachOf;
}

function instancesOf(
  task: WrittenTask,
  each: readonly Each[] | undefined,
  groups: ReadonlyMap<string, Instances>,
): readonly { readonly name: string; readonly each?: Each }[] {
  if (task.forEach === undefined) return [{ name: task.name }];
  const names = groups.get(task.name);
  return (each ?? []).map((one) => ({ name: names?.get(one.key) ?? task.name, each: one }));
}

/** The names that depends_on may have: of tasks, of instances, and of tasks with for_each for all instances. */
type Names = ReadonlyMap<string, readonly string[]>;

function namesOfAll(
  written: ReadonlyMap<string, WrittenTask>,
  groups: ReadonlyMap<string, Instances>,
): Names {
  const names = new Map([...written.keys()].map((name) => [name, [name]]));
  for (const [name, instances] of groups) {
    names.set(name, [...instances.values()]);
    for (const instance of instances.values()) names.set(instance, [instance]);
  }
  return names;
}

function expandOne(
  name: string,
  written: WrittenTask,
  scope: Scope,
  names: Names,
  problems: Problem[],
): ExpandedTask | undefined {
  const args = written.args && substitute(written.args, scope, problems);
  const needs = written.dependsOn.flatMap((word) => needsOfWord(word, scope, names, problems));
  if (written.args !== undefined && args === undefined) return undefined;
  return { name, written, args, needs: [...needs, ...needsOf(args)] };
}

function needsOfWord(
  { text, place }: Word,
  scope: Scope,
  names: Names,
  problems: Problem[],
): readonly Need[] {
  const tree = substitute({ kind: "leaf", place, text, isNull: false }, scope, problems);
  const leaves = tree === undefined ? [] : tree.kind === "list" ? tree.items : [tree];
  return leaves.flatMap((leaf) => {
    const name = leaf.kind === "leaf" ? literalOf(leaf.text) : "";
    const found = names.get(name);
    if (found !== undefined) return found.map((one) => ({ name: one, place }));
    const hint = whyNoTask(name) || didYouMean(name, names.keys());
    problems.push({ ...place, message: `Depended task '${name}' do not exist${hint}` });
    return [];
  });
}
