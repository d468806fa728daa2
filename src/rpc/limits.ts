import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { getOption } from "@bufbuild/protobuf";
import type { FieldRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { field as rulesOption } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { namePattern } from "./name-rules.ts";

/** The limits of a field; undefined if there is none. */
export interface FieldLimits {
  /** Elements of a list or a map. */
  readonly count?: number | undefined;
  /** Characters or bytes of a string, of each element of a list, or of each value of a map. */
  readonly length?: number | undefined;
  /** Characters of each key of a map. */
  readonly keyLength?: number | undefined;
}

/** Foreign messages, into whose protos we cannot write rules. */
const FOREIGN: Readonly<Record<string, FieldLimits>> = {
  "google.protobuf.FieldMask.paths": { count: 64, length: 128 },
  // The args of a task, whose own rules come when it runs.
  "google.protobuf.Struct.fields": { count: 1_000, keyLength: 1_024 },
  "google.protobuf.ListValue.values": { count: 10_000 },
  "google.protobuf.Value.string_value": { length: 1 << 20 },
  "grpc.health.v1.HealthCheckRequest.service": { length: 255 },
  ...reflectionLimits("grpc.reflection.v1"),
  ...reflectionLimits("grpc.reflection.v1alpha"),
};

function reflectionLimits(packageName: string): Record<string, FieldLimits> {
  const request = `${packageName}.ServerReflectionRequest`;
  return {
    [`${request}.host`]: { length: 255 },
    [`${request}.file_by_filename`]: { length: 1024 },
    [`${request}.file_containing_symbol`]: { length: 1024 },
    [`${request}.list_services`]: { length: 1024 },
    [`${request}.all_extension_numbers_of_type`]: { length: 1024 },
    [`${packageName}.ExtensionRequest.containing_type`]: { length: 1024 },
  };
}

const UUID_LENGTH = 36;

/** The limits from the rules of a field, or from the table above for a foreign one. */
export function limitsOf(field: DescField): FieldLimits {
  const foreign = FOREIGN[`${field.parent.typeName}.${field.name}`];
  if (foreign !== undefined) return foreign;
  const { value: rule } = getOption(field, rulesOption).type;
  if (rule?.$typeName === "buf.validate.RepeatedRules") {
    return { count: asNumber(rule.maxItems), length: lengthMax(rule.items) };
  }
  if (rule?.$typeName === "buf.validate.MapRules") {
    const { maxPairs, keys, values } = rule;
    return { count: asNumber(maxPairs), keyLength: lengthMax(keys), length: lengthMax(values) };
  }
  return { length: lengthMax(getOption(field, rulesOption)) };
}

function lengthMax(rules: FieldRules | undefined): number | undefined {
  const rule = rules?.type.value;
  if (rule?.$typeName === "buf.validate.StringRules") {
    if (rule.wellKnown.case === "uuid") return UUID_LENGTH;
    return (
      asNumber(rule.maxLen || rule.maxBytes) ?? patternLengthMax(rule.pattern || namePattern(rule))
    );
  }
  return rule?.$typeName === "buf.validate.BytesRules"
    ? asNumber(rule.maxLen || rule.len)
    : undefined;
}

function asNumber(value: bigint | undefined): number | undefined {
  return value === undefined || value === 0n ? undefined : Number(value);
}

/**
 * The maximum length of a pattern such as `^[a-z][a-z0-9]{0,62}$`: a sequence of classes, some with a
 * count. It may begin with an optional one that ends in "~" or "/", as names with a project do.
 */
function patternLengthMax(text: string): number | undefined {
  const pattern = text.replace(/^\^\(([^()]+)([~/])\)\?/, "^$1[$2]");
  if (!/^\^(\[[^\]]+\](\{\d+(,\d+)?\})?)+\$$/.test(pattern)) return undefined;
  const parts = pattern.matchAll(/\[[^\]]+\](?:\{(?:\d+,)?(\d+)\})?/g);
  return [...parts].reduce((sum, [, max = "1"]) => sum + Number(max), 0);
}

/** Shorter strings cost nothing, and their own rule gives a better error. */
const LOOKED_AT_LENGTH = 1024;

/** The checks of a field before its rules. */
interface Checked {
  readonly field: DescField;
  readonly count: number | undefined;
  readonly length: number | undefined;
  /**
   * A string above this is certainly longer than `length`, which counts characters, because a character can
   * have two code units. If no rule of the proto checks it, this is `length` itself.
   */
  readonly sureLength: number | undefined;
  /** For a message, or a list of messages. */
  readonly within: readonly Checked[] | undefined;
}

const compiled = new Map<DescMessage, readonly Checked[]>();

function checkedFields(desc: DescMessage): readonly Checked[] {
  const known = compiled.get(desc);
  if (known !== undefined) return known;
  const fields: Checked[] = [];
  // Set before it is filled, because a message may contain others of its own type.
  compiled.set(desc, fields);
  for (const field of desc.fields) {
    const isForeign = FOREIGN[`${field.parent.typeName}.${field.name}`] !== undefined;
    const { count, length } = limitsOf(field);
    const within = field.message === undefined ? undefined : checkedFields(field.message);
    const sureLength =
      length === undefined || isForeign ? length : Math.max(2 * length, LOOKED_AT_LENGTH);
    fields.push({ field, count, length, sureLength, within });
  }
  return fields;
}

export type Found = (field: string, description: string) => void;

/**
 * Calls `found` for each list and map with too many elements, without a look at the elements, and for each
 * string that is far too long. The rules of the proto run after this, because a rule costs some
 * microseconds for each element, and each broken rule a line in the answer.
 */
export function findTooLarge(desc: DescMessage, message: Message, found: Found): void {
  walk(checkedFields(desc), message, "", found);
}

function walk(fields: readonly Checked[], message: object, path: string, found: Found): void {
  const values = message as Readonly<Record<string, unknown>>;
  for (const checked of fields) {
    const { field, count } = checked;
    const value = valueOf(field, values);
    const place = path + field.name;
    if (typeof value !== "object" || value === null) look(checked, value, place, found);
    else if (isOver(sizeOf(field, value), count))
      found(place, `must have at most ${count} elements`);
    else if (!Array.isArray(value)) look(checked, value, place, found);
    else for (const [i, one] of value.entries()) look(checked, one, `${place}[${i}]`, found);
  }
}

/** One element of a list, or a single value. */
function look(
  { length, sureLength, within }: Checked,
  value: unknown,
  place: string,
  found: Found,
): void {
  if (typeof value === "string") {
    if (isOver(value.length, sureLength)) found(place, `must be at most ${length} characters`);
  } else if (within !== undefined && typeof value === "object" && value !== null) {
    walk(within, value, `${place}.`, found);
  }
}

function sizeOf(field: DescField, value: object): number {
  if (Array.isArray(value)) return value.length;
  return field.fieldKind === "map" ? Object.keys(value).length : 0;
}

function isOver(count: number, max: number | undefined): boolean {
  return max !== undefined && count > max;
}

function valueOf(field: DescField, values: Readonly<Record<string, unknown>>): unknown {
  if (field.oneof === undefined) return values[field.localName];
  const chosen = values[field.oneof.localName];
  if (typeof chosen !== "object" || chosen === null || !("case" in chosen)) return undefined;
  return chosen.case === field.localName && "value" in chosen ? chosen.value : undefined;
}

/** True if the strings of a request, with the keys of its maps, take more bytes than that as JSON. */
export function isTextAbove(message: Message, bytesMax: number): boolean {
  let length = 0;
  eachText(message, (text) => {
    length += text.length;
  });
  if (length > bytesMax) return true;
  // A control character, or an unpaired surrogate, takes six bytes.
  if (length * 6 <= bytesMax) return false;
  let bytes = 0;
  eachText(message, (text) => {
    bytes += Buffer.byteLength(JSON.stringify(text));
  });
  return bytes > bytesMax;
}

function eachText(value: unknown, visit: (text: string) => void): void {
  if (typeof value === "string") visit(value);
  else if (Array.isArray(value)) for (const one of value) eachText(one, visit);
  else if (typeof value === "object" && value !== null && !(value instanceof Uint8Array)) {
    const isMessage = "$typeName" in value;
    for (const [key, within] of Object.entries(value)) {
      if (!isMessage) visit(key);
      if (!key.startsWith("$")) eachText(within, visit);
    }
  }
}
