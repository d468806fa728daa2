import type { JsonValue } from "@bufbuild/protobuf";
import { N0Error } from "../../src/util/errors.ts";
import { type AnswerTypes, checkReferences } from "../../src/util/template/check.ts";
import { type AnswerOf, fillValue } from "../../src/util/template/fill.ts";
import { pathText } from "../../src/util/template/walk.ts";
import type { Place, Problem } from "./problems.ts";
import { formatPlace } from "./problems.ts";
import { placeAt } from "./references.ts";
import { hasSecret, type Scope, substitute, TooLong } from "./substitute.ts";
import type { Entry } from "./task-file.ts";
import { jsonOf, type Tree } from "./yaml-tree.ts";

/** A value that n0cli prints when all tasks are done. */
export interface Output {
  readonly name: string;
  /** JSON whose texts may refer to the answers of tasks. */
  readonly json: JsonValue;
}

/** Adds to `problems` references that no task answers, names that occur twice, and secrets. */
export function checkOutputs(
  entries: readonly Entry[],
  scope: Scope,
  answers: AnswerTypes,
  problems: Problem[],
): readonly Output[] {
  const places = new Map<string, Place>();
  return entries.flatMap(({ key: name, place, value }) => {
    const before = places.get(name);
    if (before !== undefined) {
      const message = `output "${name}" exists already, at ${formatPlace(before)}`;
      problems.push({ ...place, message });
      return [];
    }
    places.set(name, place);
    const tree = substituted(value, scope, problems);
    if (tree === undefined) return [];
    if (hasSecret(tree)) {
      problems.push({ ...place, message: `output "${name}" would print a secret parameter` });
    }
    const json = jsonOf(tree);
    for (const { path, message } of checkReferences(undefined, json, answers)) {
      const at = pathText(["outputs", name, ...path]);
      problems.push({ ...placeAt(tree, path), message: `${at}: ${message}` });
    }
    return [{ name, json }];
  });
}

function substituted(tree: Tree, scope: Scope, problems: Problem[]): Tree | undefined {
  try {
    return substitute(tree, scope, problems);
  } catch (reason) {
    if (!(reason instanceof TooLong)) throw reason;
    problems.push({ ...tree.place, message: reason.message });
    return undefined;
  }
}

export interface FilledOutputs {
  readonly values: Readonly<Record<string, JsonValue>>;
  /** Why the others have no value. */
  readonly missing: readonly string[];
}

export function fillOutputs(outputs: readonly Output[], answerOf: AnswerOf): FilledOutputs {
  const values: [string, JsonValue][] = [];
  const missing: string[] = [];
  for (const { name, json } of outputs) {
    try {
      values.push([name, fillValue({ kind: "any" }, json, answerOf, `outputs.${name}`)]);
    } catch (reason) {
      if (!(reason instanceof N0Error)) throw reason;
      missing.push(reason.message);
    }
  }
  return { values: Object.fromEntries(values), missing };
}
