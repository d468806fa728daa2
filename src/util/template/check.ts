import type { DescMessage, JsonValue } from "@bufbuild/protobuf";
import { fromJson } from "@bufbuild/protobuf";
import { N0Error } from "../errors.ts";
import { didYouMean } from "../suggest.ts";
import type { Part, Reference } from "./text.ts";
import { formatReference, parseText } from "./text.ts";
import {
  fits,
  hasText,
  isText,
  messageType,
  nameOf,
  sampleOf,
  type Type,
  typeAt,
  WrongReference,
} from "./value-type.ts";
import { mapTexts, type Path } from "./walk.ts";

/** A mistake in args. `message` does not name the place, which is `path`; empty for args as a whole. */
export interface WrongArg {
  readonly path: Path;
  readonly message: string;
}

export interface FoundReference {
  readonly reference: Reference;
  readonly path: Path;
}

/** All tasks by name, with the messages that they answer; undefined where that is unknown. */
export type AnswerTypes = ReadonlyMap<string, DescMessage | undefined>;

const REFERENCES_MAX = 1000;

/** Each reference in the texts of JSON. Passes over a text with a mistake, which `checkArgs` reports. */
export function referencesIn(json: JsonValue): readonly FoundReference[] {
  const found: FoundReference[] = [];
  mapTexts({ kind: "any" }, json, (text, _, path) => {
    for (const part of partsOf(text, path, [])) {
      if (typeof part !== "string") found.push({ reference: part, path });
    }
    return text;
  });
  return found;
}

/**
 * All mistakes of the args of a task: references to values that no task answers, references to values of
 * another type, and whatever protobuf refuses. Args are proto JSON with proto field names.
 */
export function checkArgs(
  desc: DescMessage,
  args: JsonValue,
  types: AnswerTypes,
): readonly WrongArg[] {
  const problems: WrongArg[] = [];
  const sample = checkValue(messageType(desc), args, types, problems);
  if (problems.length > 0) return problems;
  try {
    fromJson(desc, sample);
  } catch (reason) {
    problems.push({ path: [], message: reason instanceof Error ? reason.message : String(reason) });
  }
  return problems;
}

/** The mistakes of the references alone. Without a message, the JSON is of any form. */
export function checkReferences(
  desc: DescMessage | undefined,
  json: JsonValue,
  types: AnswerTypes,
): readonly WrongArg[] {
  const problems: WrongArg[] = [];
  const type: Type = desc === undefined ? { kind: "any" } : messageType(desc);
  checkValue(type, json, types, problems);
  return problems;
}

/** Adds the mistakes of the references. Returns the value with a sample in the place of each reference. */
function checkValue(
  type: Type,
  json: JsonValue,
  types: AnswerTypes,
  problems: WrongArg[],
): JsonValue {
  let count = 0;
  return mapTexts(type, json, (text, target, path) => {
    const before = problems.length;
    const parts = partsOf(text, path, problems);
    const references = parts.filter((part) => typeof part !== "string");
    count += references.length;
    if (count > REFERENCES_MAX && references.length > 0) {
      problems.push({ path, message: `one task has at most ${REFERENCES_MAX} references` });
      return sampleOf(target);
    }
    const isWhole = parts.length === 1;
    for (const reference of references) {
      const why = whyUnfit(reference, target, isWhole, types);
      if (why !== undefined) problems.push({ path, message: why });
    }
    if (problems.length > before) return sampleOf(target);
    return references.length > 0 && isWhole ? sampleOf(target) : literalOf(parts);
  });
}

function partsOf(text: string, path: Path, problems: WrongArg[]): readonly Part[] {
  try {
    return parseText(text);
  } catch (reason) {
    if (!(reason instanceof N0Error)) throw reason;
    problems.push({ path, message: reason.message });
    return [];
  }
}

function literalOf(parts: readonly Part[]): string {
  return parts.filter((part) => typeof part === "string").join("");
}

function whyUnfit(
  reference: Reference,
  target: Type,
  isWhole: boolean,
  types: AnswerTypes,
): string | undefined {
  if (!types.has(reference.name)) {
    const hint = didYouMean(reference.name, types.keys());
    return `${formatReference(reference)}: Depended task '${reference.name}' do not exist${hint}; $\${ is a literal \${`;
  }
  const answer = types.get(reference.name);
  if (answer === undefined) return undefined;
  let source: Type;
  try {
    source = typeAt(answer, reference);
  } catch (reason) {
    if (reason instanceof WrongReference) return reason.message;
    throw reason;
  }
  const shown = `${formatReference(reference)} is ${nameOf(source)}`;
  if (!isWhole && target.kind !== "any" && !isText(target)) {
    return `${shown} within a text, and this field takes ${nameOf(target)}: write the reference alone`;
  }
  if (!isWhole) return hasText(source) ? undefined : `${shown}, which cannot stand within a text`;
  return fits(source, target) ? undefined : `${shown}, and this field takes ${nameOf(target)}`;
}
