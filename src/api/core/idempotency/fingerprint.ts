import { hash } from "node:crypto";
import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { getOption, isFieldSet } from "@bufbuild/protobuf";
import { secret } from "../../../gen/n0stack/rules/v1alpha1/secret_pb.ts";

/**
 * A hash of all set fields but secrets such as passwords, which nobody may guess from a fast hash. It is equal
 * for two requests with equal content, in whatever order a client writes the entries of a map.
 */
export function fingerprintOf(schema: DescMessage, request: Message): string {
  return hash("sha256", textOf(schema, request), "base64url");
}

type Fields = { readonly [name: string]: unknown };

/** The length of each text and bytes value precedes it, so that no two messages have the same text. */
function textOf(schema: DescMessage, message: Message): string {
  let text = "";
  for (const field of contentOf(schema)) {
    if (!isFieldSet(message, field)) continue;
    text += `${field.number}=${valueText(field, valueOf(field, message))};`;
  }
  return text;
}

/** Looking for an option takes longer than the rest. */
const contents = new WeakMap<DescMessage, readonly DescField[]>();

/** The fields that are no secrets. */
function contentOf(schema: DescMessage): readonly DescField[] {
  let content = contents.get(schema);
  if (content === undefined) {
    content = schema.fields.filter((field) => !getOption(field, secret));
    contents.set(schema, content);
  }
  return content;
}

function valueOf({ oneof, localName }: DescField, message: Message): unknown {
  const fields = message as Message & Fields;
  if (oneof === undefined) return fields[localName];
  return (fields[oneof.localName] as { readonly value?: unknown }).value;
}

function valueText(field: DescField, value: unknown): string {
  switch (field.fieldKind) {
    case "list":
      return `[${(value as readonly unknown[]).map((item) => itemText(field.message, item)).join()}]`;
    case "map":
      return `{${Object.entries(value as Fields)
        .map(([key, item]) => `${scalarText(key)}:${itemText(field.message, item)}`)
        .sort()
        .join()}}`;
    default:
      return itemText(field.message, value);
  }
}

function itemText(schema: DescMessage | undefined, value: unknown): string {
  return schema === undefined ? scalarText(value) : `(${textOf(schema, value as Message)})`;
}

function scalarText(value: unknown): string {
  if (typeof value === "string") return `${value.length}'${value}`;
  if (value instanceof Uint8Array)
    return `${value.length}"${Buffer.from(value).toString("base64")}`;
  return String(value);
}
