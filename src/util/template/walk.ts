import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { N0Error } from "../errors.ts";
import { fieldType, findField, type Type } from "./value-type.ts";

/** Where a value stands in JSON: names of fields, keys of maps, and indexes of lists. */
export type Path = readonly (string | number)[];

/** `nics[0].ipv4_address`, `annotations["a b"]`. */
export function pathText(path: Path): string {
  const steps = path.map((step) => {
    if (typeof step === "number") return `[${step}]`;
    return /^[A-Za-z0-9_-]+$/.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
  });
  return steps.join("").replace(/^\./, "");
}

const DEPTH_MAX = 64;
const ANY: Type = { kind: "any" };

/** The value that stands in the place of a text. `target` is the type that is wanted there. */
export type VisitText = (text: string, target: Type, path: Path) => JsonValue;

/** The same JSON with each text replaced. A field that the type does not have is of any type. */
export function mapTexts(
  type: Type,
  json: JsonValue,
  visit: VisitText,
  path: Path = [],
): JsonValue {
  if (typeof json === "string") return visit(json, type, path);
  if (typeof json !== "object" || json === null) return json;
  if (path.length >= DEPTH_MAX) {
    throw new N0Error("invalid_argument", `args: is nested more than ${DEPTH_MAX} deep`);
  }
  if (Array.isArray(json)) {
    const item = type.kind === "list" ? type.item : ANY;
    return json.map((value, i) => mapTexts(item, value, visit, [...path, i]));
  }
  const entries = Object.entries(json).map(([key, value]): [string, JsonValue] => [
    key,
    mapTexts(partType(type, key), value, visit, [...path, key]),
  ]);
  // From pairs, so that the key __proto__ is a key.
  return Object.fromEntries(entries) as JsonObject;
}

function partType(type: Type, key: string): Type {
  if (type.kind === "map") return type.value;
  const field = type.kind === "message" ? findField(type.of, key) : undefined;
  return field === undefined ? ANY : fieldType(field);
}
