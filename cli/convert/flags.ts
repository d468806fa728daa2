import type { DescField, DescMessage, JsonObject, JsonValue, Message } from "@bufbuild/protobuf";
import { fromJson, ScalarType } from "@bufbuild/protobuf";
import { Option } from "commander";
import { N0Error } from "../../src/util/errors.ts";
import { quote } from "../../src/util/quote.ts";
import { didYouMean } from "../../src/util/suggest.ts";
import { CliError } from "../errors.ts";
import { fieldMaskFromPaths, isFieldMask } from "./field-mask.ts";
import type { Leaf } from "./scalar.ts";
import { isRate, scalarFromText } from "./scalar.ts";

/** The only field with a short flag, which other tools have too. */
const SELECTOR = "label_selector";

/** A flag's texts by its name as commander stores it. */
export type FlagValues = Readonly<Record<string, unknown>>;

/**
 * The options of one request field: `--request_memory_bytes`, and a hidden `--request-memory-bytes` for users
 * who write dashes. Flags of lists and maps may be repeated.
 *
 * @param isFile Whether the flag names a file that holds the value.
 */
export function optionsOf(field: DescField, isFile = false): readonly Option[] {
  const names = [field.name, field.name.replaceAll("_", "-")];
  return [...new Set(names)].map((name, i) => {
    if (isSwitch(field)) return hide(new Option(`--${name}`, describe(field)), i > 0);
    const short = i === 0 && field.name === SELECTOR ? "-l, " : "";
    const place = isFile ? "file" : placeholder(field);
    const about = isFile ? "a file that holds it; - reads it from standard input" : describe(field);
    const option = new Option(`${short}--${name} <${place}>`, about);
    option.argParser((text: string, before: readonly string[] | undefined) => [
      ...(before ?? []),
      text,
    ]);
    return hide(option, i > 0);
  });
}

function hide(option: Option, isHidden: boolean): Option {
  return isHidden ? option.hideHelp() : option;
}

function isSwitch(field: DescField): boolean {
  return field.fieldKind === "scalar" && field.scalar === ScalarType.BOOL;
}

function placeholder(field: DescField): string {
  switch (field.fieldKind) {
    case "map":
      return "key=value";
    case "message":
      return isFieldMask(field.message) ? "field,…" : "field=value,… or json";
    case "list":
      return field.listKind === "message" ? "field=value,… or json" : "text";
    case "enum":
      return field.enum.values.map((v) => v.name).join("|");
    default:
      if (field.scalar === ScalarType.STRING) return "text";
      if (isRate(field)) return "rate";
      return field.name.endsWith("_bytes") ? "size" : "number";
  }
}

function describe(field: DescField): string {
  if (field.fieldKind === "list" || field.fieldKind === "map") return "may be repeated";
  if (isRate(field)) return "bits per second, such as 10M";
  return field.name.endsWith("_bytes") ? "bytes, or a size such as 10GiB" : "";
}

/**
 * The request of a command, from its flags and its arguments.
 *
 * @throws CliError that names the flag.
 */
export function requestFromFlags(
  desc: DescMessage,
  values: FlagValues,
  fixed: JsonObject = {},
): Message {
  const json: JsonObject = { ...fixed };
  for (const field of desc.fields) {
    if (field.name in fixed) continue;
    const given = flagOf(field, values);
    if (given === undefined) continue;
    try {
      json[field.name] = given === true ? true : fieldFromTexts(field, given);
    } catch (reason) {
      if (!(reason instanceof N0Error)) throw reason;
      throw new CliError(`--${field.name}: ${reason.message}`);
    }
  }
  return messageFromJson(desc, json);
}

/** The flags that the user wrote for the fields of a request: `--name_prefix web`. */
export function flagTexts(desc: DescMessage, values: FlagValues): readonly string[] {
  return desc.fields.flatMap((field) => {
    const given = flagOf(field, values) ?? [];
    return given === true ? [`--${field.name}`] : given.map((text) => `--${field.name} ${text}`);
  });
}

/** @throws CliError with protobuf's reason. */
export function messageFromJson(desc: DescMessage, json: JsonValue): Message {
  try {
    return fromJson(desc, json);
  } catch (reason) {
    const why = reason instanceof Error ? reason.message : String(reason);
    throw new CliError(`the request is not a valid ${desc.name}: ${why}`);
  }
}

/** The file that a flag names. @throws CliError for more than one. */
export function fileOf(field: DescField, values: FlagValues): string | undefined {
  const given = flagOf(field, values);
  if (given === undefined || given === true) return undefined;
  if (given.length > 1) throw new CliError(`--${field.name}: is given ${given.length} times`);
  return given[0];
}

function flagOf(field: DescField, values: FlagValues): readonly string[] | true | undefined {
  const camel = field.name.replace(/_([a-z0-9])/g, (_, c: string) => c.toUpperCase());
  const given = [...new Set([field.name, camel])]
    .map((n) => values[n])
    .filter((v) => v !== undefined);
  if (given.length === 0) return undefined;
  return given.includes(true) ? true : given.flat().map(String);
}

function fieldFromTexts(field: DescField, texts: readonly string[]): JsonValue {
  switch (field.fieldKind) {
    case "map":
      return Object.fromEntries(
        texts.map((text) => {
          const [key, value] = splitPair(text);
          return [key, scalarFromText(field, value)];
        }),
      );
    case "list":
      if (field.listKind !== "message") return texts.map((text) => scalarFromText(field, text));
      return texts.flatMap((text) => messagesFromText(field.message, text));
    case "message":
      if (isFieldMask(field.message)) return fieldMaskFromPaths(texts.flatMap((t) => t.split(",")));
      return messageFromText(field.message, last(field, texts));
    default:
      return scalarFromText(field, last(field, texts));
  }
}

function last(field: DescField, texts: readonly string[]): string {
  if (texts.length > 1)
    throw wrong(`is given ${texts.length} times, but ${field.name} takes one value`);
  return texts[0] ?? "";
}

/** `key=value`, or `key:value` as the original wrote it: the first of both signs separates them. */
function splitPair(text: string): [string, string] {
  const at = text.search(/[=:]/);
  if (at <= 0) throw wrong(`${quote(text)} is not a pair: write key=value`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** `{"network_name": "net"}`, or any other JSON of the message, or `network_name=net,ipv4_address=10.0.0.1`. */
function messageFromText(desc: DescMessage, text: string): JsonValue {
  return /^\s*["[{]/.test(text) ? parseJson(text) : messagesFromText(desc, text)[0]!;
}

/** `{"network_name": "net"}`, a JSON list of such, or `network_name=net,allowed_addresses=10.0.0.1`. */
function messagesFromText(desc: DescMessage, text: string): JsonValue[] {
  if (/^\s*[[{]/.test(text)) {
    const json = parseJson(text);
    return Array.isArray(json) ? json : [json];
  }
  const json: JsonObject = {};
  for (const pair of text.split(",")) {
    const [name, value] = splitPair(pair);
    const field = desc.fields.find((f) => f.name === name);
    if (field === undefined) {
      const names = desc.fields.map((f) => f.name);
      throw wrong(`${desc.name} has no field ${quote(name)}${didYouMean(name, names)}`);
    }
    if (field.fieldKind === "list" && field.listKind !== "message") {
      // Named once for each entry.
      const before = json[name];
      const entries = Array.isArray(before) ? before : [];
      json[name] = [...entries, scalarFromText(field, value)];
      continue;
    }
    if (field.fieldKind !== "scalar" && field.fieldKind !== "enum") {
      throw wrong(`${name} is not a plain value: write the whole message as JSON`);
    }
    json[name] = scalarFromText(field satisfies Leaf, value);
  }
  return [json];
}

function parseJson(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch (reason) {
    throw wrong(`is not JSON: ${reason instanceof Error ? reason.message : "it cannot be read"}`);
  }
}

function wrong(message: string): N0Error {
  return new N0Error("invalid_argument", message);
}
