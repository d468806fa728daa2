import type { DescMessage, JsonObject, JsonValue } from "@bufbuild/protobuf";
import { N0Error } from "../errors.ts";
import type { Reference, Step } from "./text.ts";
import { parseText } from "./text.ts";
import {
  defaultOf,
  fieldType,
  findField,
  isFloat,
  isText,
  messageType,
  type Type,
  WrongReference,
} from "./value-type.ts";
import { mapTexts, pathText } from "./walk.ts";

/** What a task has answered. */
export interface Answer {
  readonly type: DescMessage;
  /** Proto JSON. It may leave out defaults. */
  readonly json: JsonValue;
}

/** Undefined for a task that failed, and whose failure is ignored. */
export type AnswerOf = (task: string) => Answer | undefined;

/** Far above what any request may have. */
const LENGTH_MAX = 4 << 20;

/**
 * The args of a task with the value of each reference in its place, for `fromJson`.
 *
 * @throws N0Error `failed_precondition` that names the field, the reference and what is missing.
 */
export function fillArgs(desc: DescMessage, args: JsonValue, answerOf: AnswerOf): JsonValue {
  return fillValue(messageType(desc), args, answerOf, "args");
}

/** The same for a value of any type; `what` names it in errors. */
export function fillValue(
  type: Type,
  json: JsonValue,
  answerOf: AnswerOf,
  what: string,
): JsonValue {
  let length = 0;
  return mapTexts(type, json, (text, target, path) => {
    const at = pathText([what, ...path]);
    const value = fillText(text, target, at, answerOf);
    length += typeof value === "object" ? JSON.stringify(value).length : String(value).length;
    if (length <= LENGTH_MAX) return value;
    const message = `${at}: the values of the references are longer than ${LENGTH_MAX} characters`;
    throw new N0Error("resource_exhausted", message, { field: at });
  });
}

function fillText(text: string, target: Type, at: string, answerOf: AnswerOf): JsonValue {
  try {
    const parts = parseText(text);
    const [only] = parts;
    if (parts.length === 1 && typeof only === "object") {
      const { value, type } = follow(only, answerOf);
      return converted(value, type, target);
    }
    return parts
      .map((each) => (typeof each === "string" ? each : textOf(follow(each, answerOf).value)))
      .join("");
  } catch (reason) {
    if (!(reason instanceof WrongReference)) throw reason;
    throw new N0Error("failed_precondition", `${at}: ${reason.message}`, { field: at });
  }
}

interface Found {
  readonly value: JsonValue;
  readonly type: Type;
}

function follow(reference: Reference, answerOf: AnswerOf): Found {
  const { name, path } = reference;
  const answer = answerOf(name);
  if (answer === undefined) {
    throw new WrongReference(reference, `task '${name}' failed, so it has no answer`);
  }
  let found: Found = { value: answer.json, type: messageType(answer.type) };
  for (const step of path) {
    const next = part(found, step);
    if (typeof next === "string") throw new WrongReference(reference, next);
    found = next;
  }
  return found;
}

function part({ value, type }: Found, step: Step): Found | string {
  if (type.kind === "message" && step.kind === "field" && isObject(value)) {
    const field = findField(type.of, step.name);
    if (field === undefined) return `${type.of.name} has no field "${step.name}"`;
    const ofField = fieldType(field);
    const isMember = field.oneof !== undefined;
    const found = value[field.name] ?? value[field.jsonName];
    const whole = found ?? (isMember ? undefined : defaultOf(ofField));
    return whole === undefined ? `the answer has no ${step.name}` : { value: whole, type: ofField };
  }
  if (type.kind === "list" && step.kind === "key" && Array.isArray(value)) {
    const found = typeof step.key === "number" ? value[step.key] : undefined;
    if (found !== undefined) return { value: found, type: type.item };
    const count = value.length === 1 ? "1 element" : `${value.length} elements`;
    return `the list has ${count}, so it has no [${step.key}]`;
  }
  if (type.kind === "map" && step.kind === "key" && isObject(value)) {
    const key = String(step.key);
    const found = Object.hasOwn(value, key) ? value[key] : undefined;
    if (found !== undefined) return { value: found, type: type.value };
    const keys = Object.keys(value).slice(0, 20).join(", ");
    return `the map has no key ${JSON.stringify(key)}; it has ${keys || "none"}`;
  }
  return "the answer has no such value";
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Proto JSON of the target, from that of a source that fits it. */
function converted(value: JsonValue, source: Type, target: Type): JsonValue {
  if (isText(target)) return textOf(value);
  if (isFloat(target) && !isFloat(source)) return Number(value);
  if (source.kind === "list" && target.kind === "list" && Array.isArray(value)) {
    return value.map((item) => converted(item, source.item, target.item));
  }
  if (source.kind === "map" && target.kind === "map" && isObject(value)) {
    const pairs = Object.entries(value).map(([k, v]) => [
      k,
      converted(v, source.value, target.value),
    ]);
    return Object.fromEntries(pairs) as JsonObject;
  }
  return value;
}

function textOf(value: JsonValue): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
