import { quote } from "../../src/util/quote.ts";
import { didYouMean } from "../../src/util/suggest.ts";
import type { Kind } from "../resource/kind.ts";
import { findKind } from "../resource/kind.ts";
import { type Amount, amountOf, type ParameterType, TYPES } from "./parameter-types.ts";
import { compilePattern } from "./pattern.ts";
import type { Place, Problem } from "./problems.ts";
import { formatPlace } from "./problems.ts";
import { type Entry, flag } from "./task-file.ts";
import type { Tree } from "./yaml-tree.ts";

/** A value that the user of a file chooses. */
export interface Parameter {
  readonly name: string;
  readonly place: Place;
  readonly type: ParameterType;
  readonly description: string;
  readonly default: Tree | undefined;
  readonly isSecret: boolean;
  readonly rules: Rules;
}

export interface Rules {
  readonly minLength?: number | undefined;
  readonly maxLength?: number | undefined;
  readonly min?: Amount | undefined;
  readonly max?: Amount | undefined;
  readonly allowed?: readonly string[] | undefined;
  readonly pattern?: RegExp | undefined;
  /** An object of that kind has that name. */
  readonly kind?: Kind | undefined;
}

const NAME = /^[A-Za-z0-9_-]{1,100}$/;
const PARAMETERS_MAX = 1000;

/** The types that each constraint is for. */
const RULES_OF: Readonly<Record<string, readonly ParameterType[]>> = {
  min_length: ["string", "list", "map"],
  max_length: ["string", "list", "map"],
  min: ["int", "number", "size"],
  max: ["int", "number", "size"],
  allowed: ["string", "int", "number", "size", "list"],
  pattern: ["string", "list"],
  kind: ["string", "list"],
};

const KEYS = ["type", "default", "description", "secret", ...Object.keys(RULES_OF)];

/** The parameters of all files, by name. Adds their mistakes to `problems`. */
export function readParameters(
  entries: readonly Entry[],
  kinds: readonly Kind[],
  problems: Problem[],
): ReadonlyMap<string, Parameter> {
  const parameters = new Map<string, Parameter>();
  for (const entry of entries) {
    const { key: name, place } = entry;
    const before = parameters.get(name);
    if (before !== undefined) {
      const message = `parameter "${name}" exists already, at ${formatPlace(before.place)}`;
      problems.push({ ...place, message });
    } else if (!NAME.test(name)) {
      const message = `${quote(name)} cannot be the name of a parameter: use letters, digits, - and _`;
      problems.push({ ...place, message });
    } else parameters.set(name, readParameter(entry, kinds, problems));
  }
  const place = entries[PARAMETERS_MAX]?.place;
  if (place !== undefined) {
    problems.push({ ...place, message: `there are more than ${PARAMETERS_MAX} parameters` });
  }
  return parameters;
}

function readParameter(
  { key: name, place, value: tree }: Entry,
  kinds: readonly Kind[],
  problems: Problem[],
): Parameter {
  const parts = new Map<string, Tree>();
  if (tree.kind === "table") {
    for (const { key, place: keyPlace, value } of tree.entries) {
      if (KEYS.includes(key)) parts.set(key, value);
      else {
        const message = `parameter "${name}" has no key ${quote(key)}${didYouMean(key, KEYS)}; there are ${KEYS.join(", ")}`;
        problems.push({ ...keyPlace, message });
      }
    }
  } else if (tree.kind === "list" || !tree.isNull) {
    const message = `parameter "${name}" must be a map, such as {type: string, default: ${tree.kind === "leaf" ? tree.text : "a"}}`;
    problems.push({ ...tree.place, message });
  }
  const type = readType(parts.get("type"), problems);
  return {
    name,
    place,
    type,
    description: textOf("description", parts.get("description"), problems) ?? "",
    default: parts.get("default"),
    isSecret: flag("secret", parts.get("secret"), problems),
    rules: readRules(name, type, parts, kinds, problems),
  };
}

function readType(tree: Tree | undefined, problems: Problem[]): ParameterType {
  const text = textOf("type", tree, problems) ?? "string";
  const type = TYPES.find((one) => one === text);
  if (type === undefined && tree !== undefined) {
    const message = `type ${quote(text)} is not known${didYouMean(text, TYPES)}; there are ${TYPES.join(", ")}`;
    problems.push({ ...tree.place, message });
  }
  return type ?? "string";
}

function readRules(
  name: string,
  type: ParameterType,
  parts: ReadonlyMap<string, Tree>,
  kinds: readonly Kind[],
  problems: Problem[],
): Rules {
  const fitting = (key: string): Tree | undefined => {
    const tree = parts.get(key);
    if (tree === undefined || RULES_OF[key]?.includes(type) === true) return tree;
    const message = `${key} is for parameters of type ${RULES_OF[key]?.join(", ")}, and "${name}" is of type ${type}`;
    problems.push({ ...tree.place, message });
    return undefined;
  };
  const wrong = (tree: Tree, message: string) => {
    problems.push({ ...tree.place, message });
    return undefined;
  };
  /** Reads one constraint; `read` says why not by a text. */
  const rule = <T extends object | bigint | number>(
    key: string,
    read: (text: string) => T | string,
  ) => {
    const tree = fitting(key);
    const text = textOf(key, tree, problems);
    if (tree === undefined || text === undefined) return undefined;
    const value = read(text);
    return typeof value === "string" ? wrong(tree, `${key} ${value}`) : value;
  };
  const length = (text: string) =>
    /^\d{1,9}$/.test(text) ? Number(text) : "must be a whole number";
  const amount = (text: string) => amountOf(type, text) ?? `must be a value of type ${type}`;
  const kindNamed = (text: string) =>
    findKind(kinds, text) ??
    `${quote(text)} is not known${didYouMean(
      text,
      kinds.map((k) => k.name),
    )}; there are ${kinds.map((k) => k.name).join(", ")}`;
  return {
    minLength: rule("min_length", length),
    maxLength: rule("max_length", length),
    min: rule("min", amount),
    max: rule("max", amount),
    allowed: allowedTexts(fitting("allowed"), problems),
    pattern: rule("pattern", compilePattern),
    kind: rule("kind", kindNamed),
  };
}

function allowedTexts(tree: Tree | undefined, problems: Problem[]): readonly string[] | undefined {
  if (tree === undefined) return undefined;
  if (tree.kind === "list") {
    const texts = tree.items.flatMap((item) =>
      item.kind === "leaf" && !item.isNull ? [item.text] : [],
    );
    if (texts.length === tree.items.length && texts.length > 0) return texts;
  }
  problems.push({ ...tree.place, message: "allowed must be a list of values" });
  return undefined;
}

function textOf(key: string, tree: Tree | undefined, problems: Problem[]): string | undefined {
  if (tree === undefined) return undefined;
  if (tree.kind === "leaf" && !tree.isNull) return tree.text;
  problems.push({ ...tree.place, message: `${key} must be text` });
  return undefined;
}

/** Which parameters there are, for a message. */
export function namesOf(parameters: ReadonlyMap<string, unknown>): string {
  if (parameters.size === 0) return "there are no parameters";
  const names = [...parameters.keys()].slice(0, 20).join(", ");
  return `the parameters are ${names}${parameters.size > 20 ? ", …" : ""}`;
}
