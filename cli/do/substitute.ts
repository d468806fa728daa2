import { quote } from "../../src/util/quote.ts";
import { didYouMean } from "../../src/util/suggest.ts";
import {
  escapeText,
  formatParts,
  formatReference,
  type Part,
  type Reference,
  type Step,
} from "../../src/util/template/text.ts";
import type { Values } from "./parameter-values.ts";
import { namesOf } from "./parameters.ts";
import type { Place, Problem } from "./problems.ts";
import { partsOf } from "./references.ts";
import type { Leaf, Tree } from "./yaml-tree.ts";

/** The instance of a task with for_each. */
export interface Each {
  readonly key: string;
  /** Counts from 0. */
  readonly index: number;
  readonly value: Tree;
}

/** The names of the instances of a task with for_each, by key. */
export type Instances = ReadonlyMap<string, string>;

export interface Scope {
  readonly values: Values;
  readonly each?: Each;
  /** The tasks with for_each, by name. */
  readonly groups: ReadonlyMap<string, Instances>;
  /** Counts what the substitution makes, and throws if that is too much. */
  readonly budget: Budget;
}

const VALUES_MAX = 1_000_000;
const LENGTH_MAX = 64 << 20;

/** The files expand to more than a computer should hold. */
export class TooLong extends Error {}

export class Budget {
  #values = 0;
  #length = 0;

  take(length: number): void {
    this.#values += 1;
    this.#length += length;
    if (this.#values > VALUES_MAX || this.#length > LENGTH_MAX) {
      throw new TooLong(
        `for_each and parameters make more than ${VALUES_MAX} values, or ${LENGTH_MAX} characters: run fewer tasks at a time`,
      );
    }
  }
}

/** A reference that cannot be replaced. Without a message, the parameter has a problem already. */
class Unknown extends Error {}

/**
 * The tree with the values of `param.…` and `each.…` in their places, and with references to instances by the
 * names of their tasks. Texts stay templates: what a value has of `${` is escaped. Returns undefined, and adds
 * to `problems`, if something cannot be replaced; leaves a text with a mistake as it is.
 */
export function substitute(tree: Tree, scope: Scope, problems: Problem[]): Tree | undefined {
  let isWhole = true;
  const visit = (at: Tree): Tree => {
    if (at.kind === "list") {
      const items = at.items.map(visit);
      return items.every((item, i) => item === at.items[i]) ? at : { ...at, items };
    }
    if (at.kind === "table") {
      const entries = at.entries.map((entry) => {
        const value = visit(entry.value);
        return value === entry.value ? entry : { ...entry, value };
      });
      return entries.every((entry, i) => entry === at.entries[i]) ? at : { ...at, entries };
    }
    try {
      return substituteLeaf(at, scope);
    } catch (reason) {
      if (!(reason instanceof Unknown)) throw reason;
      if (reason.message !== "") problems.push({ ...at.place, message: reason.message });
      isWhole = false;
      return at;
    }
  };
  const whole = visit(tree);
  return isWhole ? whole : undefined;
}

function substituteLeaf(leaf: Leaf, scope: Scope): Tree {
  scope.budget.take(leaf.text.length);
  const parts = partsOf(leaf.text) ?? [];
  if (parts.every((part) => typeof part === "string")) return leaf;
  const [only] = parts;
  if (parts.length === 1 && typeof only === "object") return whole(only, leaf, scope);
  let isSecret = false;
  const pieces = parts.map((part): Part => {
    if (typeof part === "string") return part;
    const found = resolve(part, scope);
    if (!("kind" in found)) return found;
    if (found.kind !== "leaf" || found.isNull) {
      throw new Unknown(`${formatReference(part)} is not one value, so it cannot stand in a text`);
    }
    isSecret ||= found.isSecret === true;
    return padded(part, found.text);
  });
  const text = formatParts(pieces);
  scope.budget.take(text.length);
  return { ...leaf, text, ...(isSecret ? { isSecret } : {}) };
}

/** What stands for a text that is nothing but a reference: it may be a list or a map. */
function whole(reference: Reference, { place }: Leaf, scope: Scope): Tree {
  const group = !isOurs(reference) ? scope.groups.get(reference.name) : undefined;
  const [first, ...rest] = reference.path;
  if (group !== undefined && first?.kind === "all") {
    const items = [...group.values()].map((name): Leaf => {
      const one = { name, isQuoted: true, path: rest.map((step) => withKey(step, scope)) };
      return { kind: "leaf", place, text: formatReference(one), isNull: false };
    });
    return { kind: "list", place, items };
  }
  const found = resolve(reference, scope);
  if (!("kind" in found))
    return { kind: "leaf", place, text: formatReference(found), isNull: false };
  return templateOf(found, place, (text) => padded(reference, text), scope.budget);
}

/** A value as a template, at the place of the reference to it. */
function templateOf(
  tree: Tree,
  place: Place,
  change: (text: string) => string,
  budget: Budget,
): Tree {
  budget.take(tree.kind === "leaf" ? tree.text.length : 0);
  switch (tree.kind) {
    case "leaf":
      return { ...tree, place, text: escapeText(change(tree.text)) };
    case "list": {
      const items = tree.items.map((item) => templateOf(item, place, change, budget));
      return { ...tree, place, items };
    }
    default: {
      const entries = tree.entries.map((e) => ({
        ...e,
        place,
        value: templateOf(e.value, place, change, budget),
      }));
      return { ...tree, place, entries };
    }
  }
}

function padded({ width }: Reference, text: string): string {
  if (width === undefined) return text;
  if (/^\d+$/.test(text)) return text.padStart(width, "0");
  throw new Unknown(`:0${width} is for whole numbers, and the value is ${quote(text)}`);
}

/** Whether n0cli replaces it before it sends anything. A name in quotes is always the name of a task. */
function isOurs({ name, isQuoted }: Reference): boolean {
  return !isQuoted && (name === "param" || name === "each");
}

/** The literal value of a reference, or the reference to the task that it means. */
function resolve(reference: Reference, scope: Scope): Tree | Reference {
  if (!isOurs(reference)) return toTask(reference, scope);
  const [first, ...rest] = reference.path;
  const name =
    first?.kind === "field" ? first.name : String(first?.kind === "key" ? first.key : "");
  const tree =
    reference.name === "param" ? parameter(name, scope) : eachPart(reference, name, scope);
  return navigate(reference, tree, rest);
}

function parameter(name: string, { values }: Scope): Tree {
  if (!values.has(name)) {
    const hint = didYouMean(name, values.keys()) || `; ${namesOf(values)}`;
    throw new Unknown(`parameter "${name}" does not exist${hint}`);
  }
  const value = values.get(name);
  if (value === undefined) throw new Unknown("");
  return value;
}

function eachPart(reference: Reference, name: string, { each }: Scope): Tree {
  const shown = formatReference(reference);
  if (each === undefined) throw new Unknown(`${shown}: only a task with for_each has each`);
  const leaf = (text: string): Tree => ({
    kind: "leaf",
    place: each.value.place,
    text,
    isNull: false,
  });
  if (name === "key") return leaf(each.key);
  if (name === "index") return leaf(String(each.index));
  if (name === "value") return each.value;
  throw new Unknown(`${shown}: there are each.key, each.value and each.index`);
}

function navigate(reference: Reference, tree: Tree, path: readonly Step[]): Tree {
  let at = tree;
  for (const step of path) {
    const next = partOf(at, step);
    if (next === undefined) {
      const known =
        at.kind === "table" ? `; there are ${at.entries.map((e) => e.key).join(", ")}` : "";
      throw new Unknown(`${formatReference(reference)}: the value has no such part${known}`);
    }
    at = next;
  }
  return at;
}

function partOf(tree: Tree, step: Step): Tree | undefined {
  if (step.kind === "by" || step.kind === "all") return undefined;
  const key = step.kind === "field" ? step.name : step.key;
  if (tree.kind === "table") return tree.entries.find((e) => e.key === String(key))?.value;
  return tree.kind === "list" && typeof key === "number" ? tree.items[key] : undefined;
}

/** `${disk[each.key].name}` becomes `${"disk[a]".name}`: the instance is a task of that name. */
function toTask(reference: Reference, scope: Scope): Reference {
  const path = reference.path.map((step) => withKey(step, scope));
  const group = scope.groups.get(reference.name);
  if (group === undefined) return { ...reference, path };
  const [first, ...rest] = path;
  const shown = formatReference(reference);
  if (first?.kind === "all") {
    throw new Unknown(`${shown} is a list: it stands alone, and not in a text`);
  }
  if (first?.kind !== "key") {
    const message = `${shown}: ${reference.name} has for_each: choose an instance, such as ${reference.name}[each.key] or ${reference.name}[${exampleKey(group)}], or all of them with ${reference.name}[*]`;
    throw new Unknown(message);
  }
  const name = group.get(String(first.key));
  if (name === undefined) {
    const hint = didYouMean(String(first.key), group.keys());
    throw new Unknown(
      `${shown}: ${reference.name} has no instance ${quote(String(first.key))}${hint}`,
    );
  }
  return { ...reference, name, isQuoted: true, path: rest };
}

function exampleKey(group: Instances): string {
  const [key = "a"] = group.keys();
  return /^\d{1,9}$/.test(key) ? key : JSON.stringify(key);
}

/** `[each.key]` becomes `["a"]`. */
function withKey(step: Step, scope: Scope): Step {
  if (step.kind !== "by") return step;
  const found = isOurs(step.reference) ? resolve(step.reference, scope) : undefined;
  if (found === undefined || !("kind" in found) || found.kind !== "leaf" || found.isNull) {
    throw new Unknown(
      `${formatReference(step.reference)} cannot stand in brackets: they hold a number, a text in "quotes", or one value of each or param`,
    );
  }
  const isIndex = /^(?:0|[1-9]\d{0,8})$/.test(found.text);
  return { kind: "key", key: isIndex ? Number(found.text) : found.text };
}

export function hasSecret(tree: Tree): boolean {
  if (tree.kind === "leaf") return tree.isSecret === true;
  const parts = tree.kind === "list" ? tree.items : tree.entries.map(({ value }) => value);
  return parts.some(hasSecret);
}
