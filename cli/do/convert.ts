import type { DescField, DescMessage, JsonObject, JsonValue } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { N0Error } from "../../src/util/errors.ts";
import { quote } from "../../src/util/quote.ts";
import { didYouMean } from "../../src/util/suggest.ts";
import { escapeText } from "../../src/util/template/text.ts";
import { fieldMaskFromPaths, isFieldMask } from "../convert/field-mask.ts";
import type { Leaf } from "../convert/scalar.ts";
import { scalarFromText } from "../convert/scalar.ts";
import type { Problem } from "./problems.ts";
import { partsOf } from "./references.ts";
import type { Tree } from "./yaml-tree.ts";

/**
 * The request that `args` describe, as proto JSON whose texts may have references: fields by proto name, enums
 * by name or number, sizes in fields of bytes, FieldMasks as lists of proto names. Adds each value that does not
 * fit, at any depth, to `problems`, and leaves it out. `checkArgs` checks the rest, with the references. The text
 * of a plain value counts, so an unquoted 18.04 is the text "18.04" in a text field.
 */
export function convertArgs(
  desc: DescMessage,
  tree: Tree | undefined,
  problems: Problem[],
): JsonValue {
  return (tree === undefined ? undefined : messageJson(desc, tree, "args", problems)) ?? {};
}

function messageJson(desc: DescMessage, tree: Tree, path: string, problems: Problem[]) {
  if (isFieldMask(desc)) return fieldMaskJson(tree, path, problems);
  if (isReference(tree)) return tree.text;
  if (desc.typeName.startsWith("google.protobuf.") && tree.kind === "leaf") return tree.text;
  if (tree.kind !== "table") {
    problems.push({ ...tree.place, message: `${path}: must be a map, not ${kindOf(tree)}` });
    return undefined;
  }
  const json: JsonObject = {};
  for (const { key, place, value } of tree.entries) {
    const field = desc.fields.find((f) => f.name === key);
    if (field === undefined) {
      const names = desc.fields.map((f) => f.name);
      const hint = didYouMean(key, names) || `; there are ${names.join(", ")}`;
      problems.push({
        ...place,
        message: `${path}: ${desc.name} has no field ${quote(key)}${hint}`,
      });
      continue;
    }
    if (value.kind === "leaf" && value.isNull) continue;
    const fieldJson = fieldValueJson(field, value, `${path}.${key}`, problems);
    if (fieldJson !== undefined) json[key] = fieldJson;
  }
  return json;
}

function fieldValueJson(
  field: DescField,
  tree: Tree,
  path: string,
  problems: Problem[],
): JsonValue | undefined {
  switch (field.fieldKind) {
    case "message":
      return messageJson(field.message, tree, path, problems);
    case "list":
      return listJson(field, tree, path, problems);
    case "map":
      return mapJson(field, tree, path, problems);
    default:
      return leafJson(field, tree, path, problems);
  }
}

function listJson(
  field: DescField & { fieldKind: "list" },
  tree: Tree,
  path: string,
  problems: Problem[],
): JsonValue | undefined {
  if (isReference(tree)) return tree.text;
  if (tree.kind !== "list") {
    problems.push({ ...tree.place, message: `${path}: must be a list, not ${kindOf(tree)}` });
    return undefined;
  }
  return tree.items.map((item, i) => {
    const at = `${path}[${i}]`;
    const json =
      field.listKind === "message"
        ? messageJson(field.message, item, at, problems)
        : leafJson(field, item, at, problems);
    return json ?? null;
  });
}

function mapJson(
  field: DescField & { fieldKind: "map" },
  tree: Tree,
  path: string,
  problems: Problem[],
): JsonValue | undefined {
  if (isReference(tree)) return tree.text;
  if (tree.kind !== "table") {
    problems.push({ ...tree.place, message: `${path}: must be a map, not ${kindOf(tree)}` });
    return undefined;
  }
  const entries = tree.entries.map(({ key, value }): [string, JsonValue] => {
    const at = `${path}.${key}`;
    const json =
      field.mapKind === "message"
        ? messageJson(field.message, value, at, problems)
        : leafJson({ name: "", scalar: field.scalar, enum: field.enum }, value, at, problems);
    return [key, json ?? null];
  });
  return Object.fromEntries(entries);
}

function leafJson(
  leaf: Leaf,
  tree: Tree,
  path: string,
  problems: Problem[],
): JsonValue | undefined {
  if (tree.kind !== "leaf" || tree.isNull) {
    const message = `${path}: must be ${leaf.scalar === ScalarType.STRING ? "text" : "one value"}, not ${kindOf(tree)}`;
    problems.push({ ...tree.place, message });
    return undefined;
  }
  try {
    return leafTextJson(leaf, tree.text);
  } catch (reason) {
    if (!(reason instanceof N0Error)) throw reason;
    const why = tree.isSecret === true ? "the secret parameter does not fit" : reason.message;
    problems.push({ ...tree.place, message: `${path}: ${why}` });
    return undefined;
  }
}

/**
 * A text with references stays as it is, for the one who fills them; so does the escape of a literal `${`. A
 * mistake in a reference is left to `checkArgs`.
 */
function leafTextJson(leaf: Leaf, text: string): JsonValue {
  const parts = partsOf(text);
  if (parts === undefined || parts.some((part) => typeof part !== "string")) return text;
  const json = scalarFromText(leaf, parts.join(""));
  return typeof json === "string" ? escapeText(json) : json;
}

/** A text that is one reference can stand for a list, a map or a message. */
function isReference(tree: Tree): tree is Tree & { kind: "leaf" } {
  if (tree.kind !== "leaf" || !tree.text.includes("${")) return false;
  const parts = partsOf(tree.text);
  return parts === undefined || (parts.length === 1 && typeof parts[0] !== "string");
}

/** A list of proto names, or one text with commas. */
function fieldMaskJson(tree: Tree, path: string, problems: Problem[]): JsonValue | undefined {
  const items = tree.kind === "list" ? tree.items : [tree];
  const paths = items.flatMap((item) => {
    if (item.kind === "leaf" && !item.isNull) return item.text.split(",").map((p) => p.trim());
    problems.push({ ...item.place, message: `${path}: must be a list of field names` });
    return [];
  });
  return fieldMaskFromPaths(paths);
}

function kindOf(tree: Tree): string {
  if (tree.kind === "list") return "a list";
  if (tree.kind === "table") return "a map";
  if (tree.isSecret === true) return "a secret";
  return tree.isNull ? "nothing" : quote(tree.text);
}
