import { Document, isScalar, Scalar, visit } from "yaml";
import { parseText } from "../../src/util/template/text.ts";
import type { ExportTask, Value, Values } from "./task.ts";

const SCHEMA_LINE = "# yaml-language-server: $schema=do.schema.json";

/** A file of tasks, each after what it needs. @param comments Lines at its top. */
export function taskFile(comments: readonly string[], tasks: readonly ExportTask[]): string {
  const top = [SCHEMA_LINE, ...comments.map((line) => `# ${line}`)];
  return [`${top.join("\n")}\n`, ...inOrder(tasks).map(taskText)].join("\n");
}

interface Ordered extends ExportTask {
  readonly dependsOn: readonly string[];
}

/** What a task needs comes above it. It names only what it does not need by way of another one. */
function inOrder(tasks: readonly ExportTask[]): readonly Ordered[] {
  const byName = new Map(tasks.map((task) => [task.name, task]));
  const referred = new Map(tasks.map((task) => [task.name, referencesIn(task.args)]));
  const needs = new Map(
    tasks.map(({ name, after }) => {
      const all = new Set([...after, ...(referred.get(name) ?? [])]);
      return [name, [...all].filter((one) => byName.has(one) && one !== name)];
    }),
  );
  const ordered = new Map<string, Ordered>();
  const place = (task: ExportTask) => {
    if (ordered.has(task.name)) return;
    const own = needs.get(task.name) ?? [];
    for (const name of own) place(byName.get(name)!);
    const isImplied = (name: string) =>
      own.some((other) => other !== name && reaches(needs, other, name));
    const written = own.filter((n) => !isImplied(n) && referred.get(task.name)?.has(n) !== true);
    ordered.set(task.name, { ...task, dependsOn: written });
  };
  for (const task of tasks) place(task);
  return [...ordered.values()];
}

function reaches(needs: ReadonlyMap<string, readonly string[]>, from: string, to: string): boolean {
  const seen = new Set([from]);
  for (const name of seen) {
    if (name === to) return true;
    for (const next of needs.get(name) ?? []) seen.add(next);
  }
  return false;
}

function referencesIn(value: Value): ReadonlySet<string> {
  if (typeof value === "string") {
    return new Set(parseText(value).flatMap((part) => (typeof part === "string" ? [] : part.name)));
  }
  if (typeof value !== "object") return new Set();
  return new Set(Object.values(value).flatMap((one: Value) => [...referencesIn(one)]));
}

function taskText({ name, args, dependsOn, notes = [], ...its }: Ordered): string {
  const after = dependsOn.length === 0 ? {} : { depends_on: dependsOn };
  const task: Values = { type: its.type ?? its.of.kind, action: its.action, args, ...after };
  const document = new Document(
    { [name]: task },
    { aliasDuplicateObjects: false, compat: "yaml-1.1" },
  );
  visit(document, {
    Scalar(_, node) {
      // Plain, it would merge what it has.
      if (isScalar(node) && node.value === "<<") node.type = Scalar.QUOTE_DOUBLE;
    },
  });
  const comments = notes.map((note) => `# ${note}\n`).join("");
  return `${comments}${document.toString({ lineWidth: 0 })}`;
}
