import { quote } from "../../src/util/quote.ts";
import type { Place, Problem } from "./problems.ts";
import { literalOf, referencesOf } from "./references.ts";
import { type Each, hasSecret, type Scope, substitute } from "./substitute.ts";
import type { WrittenTask } from "./task-file.ts";
import type { Leaf, Tree } from "./yaml-tree.ts";

/** In all files, with the instances of for_each. */
export const TASKS_MAX = 10_000;

const KEY_LENGTH_MAX = 200;

/** How many instances a task has; nothing is built yet, so it may be any number. */
export interface Expansion {
  readonly count: number;
  readonly place: Place;
  /** At most TASKS_MAX instances. Adds to `problems` keys that are wrong or occur twice. */
  instances(problems: Problem[]): readonly Each[];
}

/** What a for_each stands for; undefined if it is wrong, which is in `problems` then. */
export function expansionOf(
  { name, forEach }: WrittenTask,
  scope: Scope,
  problems: Problem[],
): Expansion | undefined {
  if (forEach === undefined) return undefined;
  const tree = substitute(forEach, scope, problems);
  if (tree === undefined) return undefined;
  const { place } = forEach;
  const wrong = (message: string) => {
    problems.push({ ...place, message: `for_each of "${name}" ${message}` });
    return undefined;
  };
  if (hasSecret(tree)) return wrong("cannot use a secret parameter: names of tasks are printed");
  if (refers(tree)) return wrong("cannot refer to results: tasks are counted before any runs");
  const over = literalTree(tree);
  if (over.kind !== "leaf") {
    const count = over.kind === "list" ? over.items.length : over.entries.length;
    return { count, place, instances: (all) => keyed(over, all) };
  }
  if (over.isNull || !/^\d{1,15}$/.test(over.text)) {
    return wrong("must be a list, a map, or a count");
  }
  const count = Number(over.text);
  return { count, place, instances: () => counted(count, over) };
}

function counted(count: number, leaf: Leaf): readonly Each[] {
  return Array.from({ length: Math.min(count, TASKS_MAX) }, (_, index) => {
    const text = String(index);
    return { key: text, index, value: { ...leaf, text } };
  });
}

/** The key of a plain value in a list is its text; that of another is its index. */
function keyed(tree: Exclude<Tree, Leaf>, problems: Problem[]): readonly Each[] {
  const pairs =
    tree.kind === "table"
      ? tree.entries.map(({ key, place, value }) => ({ key, place, value }))
      : tree.items.map((value, i) => {
          const isPlain = value.kind === "leaf" && !value.isNull;
          return { key: isPlain ? value.text : String(i), place: value.place, value };
        });
  const seen = new Set<string>();
  return pairs.map(({ key, place, value }, index) => {
    if (seen.has(key)) {
      const message = `${quote(key)} occurs twice in for_each, and each instance has a key of its own`;
      problems.push({ ...place, message });
    }
    if (key === "" || key.length > KEY_LENGTH_MAX || /\p{Cc}/u.test(key)) {
      const message = `${quote(key)} cannot be a key of for_each: it is in the name of a task`;
      problems.push({ ...place, message });
    }
    seen.add(key);
    return { key, index, value };
  });
}

function refers(tree: Tree): boolean {
  if (tree.kind === "leaf") return referencesOf(tree.text).length > 0;
  const parts = tree.kind === "list" ? tree.items : tree.entries.map(({ value }) => value);
  return parts.some(refers);
}

/** The values themselves, from templates without references. */
function literalTree(tree: Tree): Tree {
  switch (tree.kind) {
    case "leaf":
      return { ...tree, text: literalOf(tree.text) };
    case "list":
      return { ...tree, items: tree.items.map(literalTree) };
    default:
      return { ...tree, entries: tree.entries.map((e) => ({ ...e, value: literalTree(e.value) })) };
  }
}
