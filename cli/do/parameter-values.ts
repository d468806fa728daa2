import { didYouMean } from "../../src/util/suggest.ts";
import type { Resource } from "../resource/resource.ts";
import { amountOf, ofType } from "./parameter-types.ts";
import { namesOf, type Parameter } from "./parameters.ts";
import { whyNoMatch } from "./pattern.ts";
import type { Place, Problem } from "./problems.ts";
import { jsonOf, type Leaf, readTrees, type Tree } from "./yaml-tree.ts";

/** What the user gives on the command line; the later one of a name counts. */
export interface Given {
  /** Files that map names to values. */
  readonly values: readonly { readonly file: string; readonly text: string }[];
  /** `name=value` */
  readonly set: readonly string[];
}

/** The values of the parameters. Undefined for one that has a problem already. */
export type Values = ReadonlyMap<string, Tree | undefined>;

/** An object that must exist before anything runs. */
export interface WantedObject {
  readonly parameter: string;
  readonly resource: Resource;
  readonly name: string;
  readonly place: Place;
  readonly isSecret: boolean;
}

/** The value of each parameter: from --set, else from the last --values, else its default. */
export function valuesOf(
  parameters: ReadonlyMap<string, Parameter>,
  given: Given,
  problems: Problem[],
): Values {
  const chosen = new Map<string, Tree>();
  const choose = (name: string, place: Place, tree: (parameter: Parameter) => Tree | undefined) => {
    const parameter = parameters.get(name);
    if (parameter === undefined) {
      const hint = didYouMean(name, parameters.keys()) || `; ${namesOf(parameters)}`;
      problems.push({ ...place, message: `parameter "${name}" does not exist${hint}` });
      return;
    }
    const value = tree(parameter);
    if (value !== undefined) chosen.set(name, value);
  };
  for (const { file, text } of given.values) {
    for (const { key, place, value } of entriesOf(file, text, problems)) {
      choose(key, place, () => value);
    }
  }
  for (const word of given.set) {
    const [name = "", ...rest] = word.split("=");
    const place = { file: `--set ${name}`, line: 0, column: 0 };
    if (rest.length === 0) problems.push({ ...place, message: "write --set name=value" });
    else choose(name, place, (parameter) => setValue(parameter, rest.join("="), place, problems));
  }
  return new Map(
    [...parameters.values()].map((one) => [one.name, valueOf(one, chosen.get(one.name), problems)]),
  );
}

function entriesOf(file: string, text: string, problems: Problem[]) {
  const [tree, ...more] = readTrees(file, text, problems);
  if (tree === undefined) return [];
  if (tree.kind === "table" && more.length === 0) return tree.entries;
  const message = "must be one map from names of parameters to values";
  problems.push({ ...tree.place, message });
  return [];
}

/** A list is written with commas, or as YAML; a map as YAML. */
function setValue({ type }: Parameter, text: string, place: Place, problems: Problem[]) {
  const leaf = (one: string): Leaf => ({ kind: "leaf", place, text: one, isNull: false });
  const isYaml = type === "map" || (type === "list" && text.trimStart().startsWith("["));
  if (isYaml) {
    const before = problems.length;
    const [tree] = readTrees(place.file, text, problems);
    return problems.length > before ? undefined : (tree ?? leaf(text));
  }
  if (type !== "list") return leaf(text);
  const items = text.trim() === "" ? [] : text.split(",").map((item) => leaf(item.trim()));
  return { kind: "list", place, items } as const;
}

function valueOf(parameter: Parameter, chosen: Tree | undefined, problems: Problem[]) {
  const { name, place, description } = parameter;
  const before = problems.length;
  // A default that is never used is checked too: the next user needs it.
  const byDefault = parameter.default && checked(parameter, parameter.default, problems);
  const value = chosen === undefined ? byDefault : checked(parameter, chosen, problems);
  if (value === undefined && problems.length === before) {
    const about = description === "" ? "" : ` (${description})`;
    const message = `parameter "${name}"${about} has no value: give it with --set ${name}=… or --values FILE`;
    problems.push({ ...place, message });
  }
  return value === undefined || !parameter.isSecret ? value : secretTree(value);
}

function secretTree(tree: Tree): Tree {
  switch (tree.kind) {
    case "leaf":
      return { ...tree, isSecret: true };
    case "list":
      return { ...tree, items: tree.items.map(secretTree) };
    default:
      return { ...tree, entries: tree.entries.map((e) => ({ ...e, value: secretTree(e.value) })) };
  }
}

function checked(parameter: Parameter, tree: Tree, problems: Problem[]): Tree | undefined {
  const value = ofType(parameter.type, tree);
  const why = typeof value === "string" ? value : whyRefused(parameter, value);
  if (why === undefined && typeof value === "object") return value;
  problems.push({ ...tree.place, message: `parameter "${parameter.name}" ${why}` });
  return undefined;
}

/** The first constraint that a value of the right type breaks, without the value, which may be secret. */
function whyRefused({ type, rules }: Parameter, tree: Tree): string | undefined {
  const { minLength = 0, maxLength = Infinity, min, max, allowed, pattern } = rules;
  const length = lengthOf(tree);
  const unit = tree.kind === "leaf" ? "characters" : "entries";
  if (length < minLength) return `must have at least ${minLength} ${unit}`;
  if (length > maxLength) return `must have at most ${maxLength} ${unit}`;
  const leaves = tree.kind === "list" ? tree.items : [tree];
  for (const leaf of leaves) {
    if (leaf.kind !== "leaf" || leaf.isNull) {
      if (allowed !== undefined || pattern !== undefined) return "must have plain texts only";
      continue;
    }
    const amount = min ?? max;
    const value = amount === undefined ? undefined : amountOf(type, leaf.text);
    if (value !== undefined && min !== undefined && value < min) return `must be at least ${min}`;
    if (value !== undefined && max !== undefined && value > max) return `must be at most ${max}`;
    if (allowed?.includes(leaf.text) === false) return `must be one of ${allowed.join(", ")}`;
    const why = pattern === undefined ? undefined : whyNoMatch(pattern, leaf.text);
    if (why !== undefined) return why;
  }
  return undefined;
}

function lengthOf(tree: Tree): number {
  if (tree.kind === "list") return tree.items.length;
  return tree.kind === "table" ? tree.entries.length : [...tree.text].length;
}

/** The objects that parameters with a `kind` name. */
export function wantedObjects(
  parameters: ReadonlyMap<string, Parameter>,
  values: Values,
  resources: readonly Resource[],
): readonly WantedObject[] {
  return [...parameters.values()].flatMap(({ name, rules, isSecret }) => {
    const resource = resources.find((one) => one.name === rules.kind?.name);
    const value = values.get(name);
    if (resource === undefined || value === undefined) return [];
    const leaves = value.kind === "list" ? value.items : [value];
    return leaves.flatMap((leaf) =>
      leaf.kind === "leaf"
        ? [{ parameter: name, resource, name: leaf.text, place: leaf.place, isSecret }]
        : [],
    );
  });
}

/** The values that are not secret, each as people write it on one line. */
export function shownValues(
  parameters: ReadonlyMap<string, Parameter>,
  values: Values,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    [...parameters.values()].flatMap(({ name, isSecret }): [string, string][] => {
      const tree = values.get(name);
      if (isSecret || tree === undefined) return [];
      return [[name, tree.kind === "leaf" ? tree.text : JSON.stringify(jsonOf(tree))]];
    }),
  );
}
