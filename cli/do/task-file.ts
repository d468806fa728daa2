import { quote } from "../../src/util/quote.ts";
import { didYouMean } from "../../src/util/suggest.ts";
import type { Place, Problem } from "./problems.ts";
import type { Table, Tree } from "./yaml-tree.ts";
import { readTrees } from "./yaml-tree.ts";

/** A task as the file has it, before its type, action and arguments are checked. */
export interface WrittenTask {
  readonly name: string;
  readonly place: Place;
  readonly type: Word | undefined;
  readonly action: Word | undefined;
  readonly args: Tree | undefined;
  /** A list, a map or a count: the task stands for one instance of each. */
  readonly forEach: Tree | undefined;
  readonly dependsOn: readonly Word[];
  readonly ignoreError: boolean;
}

export interface Word {
  readonly text: string;
  readonly place: Place;
}

/** A top key with this prefix is not a task: it holds anchors that several tasks share. */
const SHARED = "x-";

const KEYS = ["type", "action", "args", "for_each", "depends_on", "ignore_error"] as const;

export type Entry = Table["entries"][number];

/** The readable parts of all documents of one file. */
export interface WrittenFile {
  readonly tasks: readonly WrittenTask[];
  readonly parameters: readonly Entry[];
  readonly outputs: readonly Entry[];
}

/** Adds to `problems` what it cannot read. */
export function readTaskFile(file: string, text: string, problems: Problem[]): WrittenFile {
  const before = problems.length;
  const entries = readTrees(file, text, problems).flatMap((tree) => entriesOf(tree, problems));
  const written = entries.filter(({ key }) => !key.startsWith(SHARED));
  if (written.length === 0 && problems.length === before) {
    problems.push({ file, line: 1, column: 1, message: "the file has no tasks" });
  }
  const section = (name: string) =>
    written
      .filter((entry) => entry.key === name && !isTask(entry.value))
      .flatMap(({ value }) => sectionEntries(name, value, problems));
  return {
    parameters: section("parameters"),
    outputs: section("outputs"),
    tasks: written
      .filter(({ key, value }) => !SECTIONS.includes(key) || isTask(value))
      .flatMap(({ key, place, value }) => readTask(key, place, value, problems)),
  };
}

/** These top keys are not tasks, unless they have a type and an action: so files stay valid that had such tasks. */
const SECTIONS: readonly string[] = ["parameters", "outputs"];

function isTask(tree: Tree): boolean {
  const isText = (key: string) =>
    tree.kind === "table" && tree.entries.some((e) => e.key === key && e.value.kind === "leaf");
  return isText("type") && isText("action");
}

function sectionEntries(name: string, tree: Tree, problems: Problem[]): readonly Entry[] {
  if (tree.kind === "table") return tree.entries;
  if (tree.kind === "list" || !tree.isNull) {
    problems.push({ ...tree.place, message: `${name} must be a map from names to ${name}` });
  }
  return [];
}

function entriesOf(document: Tree, problems: Problem[]): readonly Entry[] {
  if (document.kind === "table") return document.entries;
  if (document.kind === "list" || !document.isNull) {
    problems.push({ ...document.place, message: "must be a map from task names to tasks" });
  }
  return [];
}

/** Why no task has that name, if that is known; else an empty text. */
export function whyNoTask(name: string): string {
  return name.startsWith(SHARED) ? `: a key that begins with ${SHARED} is not a task` : "";
}

function readTask(name: string, place: Place, tree: Tree, problems: Problem[]): WrittenTask[] {
  if (tree.kind !== "table") {
    const message = `task "${name}" must be a map with type, action, args, for_each, depends_on and ignore_error`;
    problems.push({ ...place, message });
    return [];
  }
  const values = new Map<string, Tree>();
  for (const { key, place: keyPlace, value } of tree.entries) {
    if (KEYS.some((k) => k === key)) values.set(key, value);
    else {
      const message = `task "${name}" has no key ${quote(key)}${didYouMean(key, KEYS)}; there are ${KEYS.join(", ")}`;
      problems.push({ ...keyPlace, message });
    }
  }
  const args = values.get("args");
  return [
    {
      name,
      place,
      type: requiredWord(name, place, "type", values, problems),
      action: requiredWord(name, place, "action", values, problems),
      args: args?.kind === "leaf" && args.isNull ? undefined : args,
      forEach: values.get("for_each"),
      dependsOn: words(values.get("depends_on"), problems),
      ignoreError: flag("ignore_error", values.get("ignore_error"), problems),
    },
  ];
}

function requiredWord(
  task: string,
  place: Place,
  key: string,
  values: ReadonlyMap<string, Tree>,
  problems: Problem[],
): Word | undefined {
  const tree = values.get(key);
  if (tree === undefined) problems.push({ ...place, message: `task "${task}" has no ${key}` });
  else if (tree.kind === "leaf" && !tree.isNull) return { text: tree.text, place: tree.place };
  else problems.push({ ...tree.place, message: `${key} must be text` });
  return undefined;
}

/** A list of task names, or one. */
function words(tree: Tree | undefined, problems: Problem[]): readonly Word[] {
  if (tree === undefined || (tree.kind === "leaf" && tree.isNull)) return [];
  const items = tree.kind === "list" ? tree.items : [tree];
  return items.flatMap((item) => {
    if (item.kind === "leaf" && !item.isNull) return [{ text: item.text, place: item.place }];
    problems.push({ ...item.place, message: "depends_on must be a list of task names" });
    return [];
  });
}

/** True or false, as YAML writes them; false if it is not there. */
export function flag(key: string, tree: Tree | undefined, problems: Problem[]): boolean {
  if (tree === undefined || (tree.kind === "leaf" && tree.isNull)) return false;
  const text = tree.kind === "leaf" ? tree.text : "";
  if (/^(true|yes|on)$/i.test(text)) return true;
  if (/^(false|no|off)$/i.test(text)) return false;
  problems.push({ ...tree.place, message: `${key} must be true or false` });
  return false;
}
