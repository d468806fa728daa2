import type { DescEnum, DescField, DescMessage, JsonObject, JsonValue } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { didYouMean } from "../suggest.ts";
import type { Reference, Step } from "./text.ts";
import { formatReference } from "./text.ts";

/** The type of a value of a message. */
export type Type =
  | { readonly kind: "scalar"; readonly scalar: ScalarType }
  | { readonly kind: "enum"; readonly of: DescEnum }
  | { readonly kind: "message"; readonly of: DescMessage }
  | { readonly kind: "list"; readonly item: Type }
  | { readonly kind: "map"; readonly value: Type }
  /** JSON of any form, as in a google.protobuf.Struct. */
  | { readonly kind: "any" };

const ANY: Type = { kind: "any" };
const OPEN: ReadonlySet<string> = new Set(
  ["Struct", "Value", "ListValue", "Any"].map((name) => `google.protobuf.${name}`),
);

/** Messages that are one text in JSON, with a text that fits each. */
const SAMPLES: Readonly<Record<string, JsonValue>> = {
  "google.protobuf.Timestamp": "1970-01-01T00:00:00Z",
  "google.protobuf.Duration": "0s",
  "google.protobuf.FieldMask": "",
};

export function messageType(desc: DescMessage): Type {
  return OPEN.has(desc.typeName) ? ANY : { kind: "message", of: desc };
}

type Single = Pick<DescField, "scalar" | "enum" | "message">;

function singleType({ scalar, enum: ofEnum, message }: Single): Type {
  if (message !== undefined) return messageType(message);
  if (ofEnum !== undefined) return { kind: "enum", of: ofEnum };
  return scalar === undefined ? ANY : { kind: "scalar", scalar };
}

export function fieldType(field: DescField): Type {
  if (field.fieldKind === "list") return { kind: "list", item: singleType(field) };
  if (field.fieldKind === "map") return { kind: "map", value: singleType(field) };
  return singleType(field);
}

/** By the name of the proto, or the one of JSON. */
export function findField(desc: DescMessage, name: string): DescField | undefined {
  return desc.fields.find((field) => field.name === name || field.jsonName === name);
}

/** A reason why a reference cannot be followed. It does not name the field in which the reference stands. */
export class WrongReference extends Error {
  constructor(reference: Reference, why: string) {
    super(`${formatReference(reference)}: ${why}`);
  }
}

/** The type of what a reference finds in an answer of that type. @throws WrongReference */
export function typeAt(answer: DescMessage, reference: Reference): Type {
  if (reference.width !== undefined) {
    throw new WrongReference(reference, "only each and param can have a width, such as :03");
  }
  let type = messageType(answer);
  for (const step of reference.path) {
    const next = stepType(type, step);
    if (typeof next === "string") throw new WrongReference(reference, next);
    type = next;
  }
  return type;
}

function stepType(type: Type, step: Step): Type | string {
  if (step.kind === "by" || step.kind === "all") {
    return "such brackets choose an instance of a task with for_each, and this is a value";
  }
  if (type.kind === "message" && step.kind === "field" && !hasText(type)) {
    const field = findField(type.of, step.name);
    if (field !== undefined) return fieldType(field);
    const names = type.of.fields.map(({ name }) => name);
    const hint = didYouMean(step.name, names) || `; there are ${names.join(", ")}`;
    return `${type.of.name} has no field "${step.name}"${hint}`;
  }
  const shown = step.kind === "field" ? `.${step.name}` : `[${JSON.stringify(step.key)}]`;
  if (type.kind === "list") {
    if (step.kind === "key" && typeof step.key === "number") return type.item;
    return `${shown} follows a list: choose an element with a number, such as [0]`;
  }
  if (type.kind === "map") {
    if (step.kind === "key") return type.value;
    return `${shown} follows a map: choose a value with its key, [${JSON.stringify(step.name)}]`;
  }
  return `${shown} follows ${nameOf(type)}, which has no parts that n0stack knows`;
}

const INTEGERS: ReadonlySet<ScalarType> = new Set([
  ScalarType.INT32,
  ScalarType.INT64,
  ScalarType.UINT32,
  ScalarType.UINT64,
  ScalarType.SINT32,
  ScalarType.SINT64,
  ScalarType.FIXED32,
  ScalarType.FIXED64,
  ScalarType.SFIXED32,
  ScalarType.SFIXED64,
]);

export function isText(type: Type): boolean {
  return type.kind === "scalar" && type.scalar === ScalarType.STRING;
}

export function isInteger(type: Type): boolean {
  return type.kind === "scalar" && INTEGERS.has(type.scalar);
}

export function isFloat(type: Type): boolean {
  const { DOUBLE, FLOAT } = ScalarType;
  return type.kind === "scalar" && (type.scalar === DOUBLE || type.scalar === FLOAT);
}

/** Whether a value of the type has a text: numbers in digits, enums by name, bytes in base64, times as in JSON. */
export function hasText(type: Type): boolean {
  if (type.kind === "message") return type.of.typeName in SAMPLES;
  return type.kind === "scalar" || type.kind === "enum";
}

/** Whether a field takes the value of a reference. The range of a number is checked when the value is known. */
export function fits(source: Type, target: Type): boolean {
  if (target.kind === "any") return true;
  if (isText(target)) return hasText(source);
  if (isInteger(target)) return isInteger(source);
  if (isFloat(target)) return isInteger(source) || isFloat(source);
  if (source.kind === "list" && target.kind === "list") return fits(source.item, target.item);
  if (source.kind === "map" && target.kind === "map") return fits(source.value, target.value);
  if (source.kind === "scalar" && target.kind === "scalar") return source.scalar === target.scalar;
  if (source.kind === "enum" && target.kind === "enum") {
    return source.of.typeName === target.of.typeName;
  }
  return (
    source.kind === "message" &&
    target.kind === "message" &&
    source.of.typeName === target.of.typeName
  );
}

/** For messages: `a text`, `a list of VirtualMachineNIC`. */
export function nameOf(type: Type): string {
  switch (type.kind) {
    case "list":
      return `a list of ${nameOf(type.item).replace(/^an? /, "")}`;
    case "map":
      return `a map of ${nameOf(type.value).replace(/^an? /, "")}`;
    case "message":
    case "enum":
      return `a ${type.of.name}`;
    case "any":
      return "any value";
    default:
      if (isInteger(type)) return "a whole number";
      if (isFloat(type)) return "a number";
      if (type.scalar === ScalarType.BOOL) return "a truth value";
      return type.scalar === ScalarType.BYTES ? "bytes" : "a text";
  }
}

/** What proto JSON leaves out; undefined for a message, which is then not set. */
export function defaultOf(type: Type): JsonValue | undefined {
  switch (type.kind) {
    case "list":
      return [];
    case "map":
      return {};
    case "enum":
      return type.of.values[0]?.name ?? 0;
    case "scalar":
      if (type.scalar === ScalarType.BOOL) return false;
      if (isText(type) || type.scalar === ScalarType.BYTES) return "";
      return 0;
    default:
      return undefined;
  }
}

/** Some value of the type, to check the rest of a message with. */
export function sampleOf(type: Type): JsonValue {
  const empty: JsonObject = {};
  if (type.kind === "message") return SAMPLES[type.of.typeName] ?? empty;
  return defaultOf(type) ?? empty;
}
