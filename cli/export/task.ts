import type { DescField, DescMessage, JsonObject, JsonValue, Message } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { formatBytes } from "../../src/util/bytes.ts";
import { escapeText, formatReference, type Reference } from "../../src/util/template/text.ts";
import { messageToJson } from "../output.ts";
import type { ExportedKind } from "./world.ts";

/** A value of a task file: texts are templates. */
export type Value = string | number | boolean | readonly Value[] | Values;
export interface Values {
  readonly [key: string]: Value;
}

/** A task that makes an object, or a part of one. */
export interface ExportTask {
  readonly name: string;
  /** The object that it makes. */
  readonly of: ObjectKey;
  /** The kind whose action it is, if it is not that of the object. */
  readonly type?: ExportedKind;
  readonly action: string;
  readonly args: Values;
  /** Tasks that come first, if the file has them. Those to which `args` refer are not here. */
  readonly after: readonly string[];
  /** What the file cannot say: comments above the task. */
  readonly notes?: readonly string[];
}

export interface ObjectKey {
  readonly kind: ExportedKind;
  readonly name: string;
}

/** A value for a field; undefined leaves the field out. */
type Overrides = Readonly<Record<string, Value | undefined>>;

/**
 * The fields of a request that makes a record: those that the record has under the same names. So a field that
 * both have is exported without further ado.
 */
export function argsOf(
  request: DescMessage,
  desc: DescMessage,
  record: Message,
  overrides: Overrides,
): Values {
  const json = messageToJson(desc, record) as JsonObject;
  return Object.fromEntries(
    request.fields.flatMap((field): [string, Value][] => {
      const isOverridden = Object.hasOwn(overrides, field.name);
      const given = json[field.name];
      const value = isOverridden
        ? overrides[field.name]
        : given === undefined
          ? undefined
          : plain(field, given);
      return value === undefined ? [] : [[field.name, value]];
    }),
  );
}

/** Proto JSON as people write it: sizes with units, keys in order, literal texts as templates. */
function plain(field: DescField, json: JsonValue): Value {
  if (field.fieldKind === "list") {
    const of = field.listKind === "message" ? field.message : undefined;
    return (json as JsonValue[]).map((item) => (of ? message(of, item) : leaf(field, item)));
  }
  if (field.fieldKind === "map") {
    return ordered(json as JsonObject, (value) => leaf(field, value));
  }
  return field.fieldKind === "message" ? message(field.message, json) : leaf(field, json);
}

function message(desc: DescMessage, json: JsonValue): Value {
  return Object.fromEntries(
    desc.fields.flatMap((field): [string, Value][] => {
      const value = (json as JsonObject)[field.name];
      return value === undefined ? [] : [[field.name, plain(field, value)]];
    }),
  );
}

function leaf(field: DescField, json: JsonValue): Value {
  if (typeof json === "boolean" || typeof json === "number") return json;
  const text = String(json);
  if (field.scalar === undefined || field.scalar === ScalarType.STRING) return escapeText(text);
  if (field.name.endsWith("_bytes")) return formatBytes(BigInt(text));
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : text;
}

function ordered(json: JsonObject, value: (json: JsonValue) => Value): Values {
  const entries = Object.entries(json).map(([key, one]): [string, Value] => [key, value(one)]);
  return Object.fromEntries(byKey(entries));
}

function byKey<T>(entries: readonly (readonly [string, T])[]) {
  return [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
}

type Texts = Readonly<Record<string, string>>;

/**
 * Texts by key, such as annotations; undefined for none.
 *
 * @param templates Take the place of texts with their keys.
 */
export function texts(map: Texts, templates: Texts = {}): Values | undefined {
  const literal = Object.entries(map).map(([key, text]) => [key, escapeText(text)] as const);
  const all = new Map([...literal, ...Object.entries(templates)]);
  return all.size === 0 ? undefined : Object.fromEntries(byKey([...all]));
}

/** `${create-disk-a.node_name}` */
export function referenceTo(task: string, field: string): string {
  const isQuoted = !/^[A-Za-z0-9_-]+$/.test(task);
  const reference: Reference = { name: task, isQuoted, path: [{ kind: "field", name: field }] };
  return formatReference(reference);
}

export function without(map: Texts, keys: readonly string[]): Texts {
  return Object.fromEntries(Object.entries(map).filter(([key]) => !keys.includes(key)));
}
