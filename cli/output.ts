import type { DescMessage, JsonValue, Message } from "@bufbuild/protobuf";
import { createRegistry, toJson } from "@bufbuild/protobuf";
import type { CliContext } from "./context.ts";
import { type Resource, resourceOfMessage } from "./resource/resource.ts";
import type { OutputFormat } from "./settings.ts";
import type { Row } from "./table.ts";
import { formatTable } from "./table.ts";

/**
 * The format of the original: proto field names, names of enum values, 64-bit integers as text, no defaults.
 */
export function messageToJson(desc: DescMessage, message: Message): JsonValue {
  return toJson(desc, message, { useProtoFieldName: true, registry: createRegistry(desc.file) });
}

/** Text of one document. `jsonl` is one line. */
export async function formatValue(format: OutputFormat, value: JsonValue): Promise<string> {
  if (format === "jsonl") return `${JSON.stringify(value)}\n`;
  if (format !== "yaml") return `${JSON.stringify(value, null, 2)}\n`;
  const { stringify } = await import("yaml");
  return stringify(value);
}

/** Prints an answer: a record, or another message. Prints nothing for an empty one. */
export async function printMessage(cli: CliContext, desc: DescMessage, message: Message) {
  if (desc.fields.length === 0) return;
  const json = messageToJson(desc, message);
  const format = cli.format();
  const isTable = format === "table" || format === "wide" || format === "name";
  // The original answers the object itself. New services answer a message that holds it.
  const [only, ...others] = desc.fields;
  const held = only?.fieldKind === "message" && others.length === 0 ? only : undefined;
  const record = held === undefined ? json : (json as Row)[held.name];
  const resource = isTable ? await resourceOfMessage(cli.kinds, held?.message ?? desc) : undefined;
  if (resource === undefined || record === undefined) {
    cli.io.stdout.print(await formatValue(format, json));
    return;
  }
  cli.io.stdout.print(formatRecords(resource, format, [record as Row]));
}

/**
 * Prints a whole list. `json` and `yaml` print the answer of the List RPC; `jsonl` prints a record a line.
 * `asked` holds the user's filters, as written; empty for all records.
 */
export async function printList(
  cli: CliContext,
  resource: Resource,
  field: string,
  answer: Row,
  asked: readonly string[],
) {
  const format = cli.format();
  if (format === "json" || format === "yaml") {
    cli.io.stdout.print(await formatValue(format, answer as JsonValue));
    return;
  }
  const rows = (answer[field] ?? []) as readonly Row[];
  if (rows.length === 0 && format !== "jsonl") cli.say(emptyText(resource, asked));
  else cli.io.stdout.print(formatRecords(resource, format, rows));
}

function emptyText({ name }: Resource, asked: readonly string[]): string {
  return asked.length === 0 ? `There is no ${name} yet.` : `No ${name} matches ${asked.join(" ")}.`;
}

/** A table, names, or JSON lines. */
function formatRecords(resource: Resource, format: OutputFormat, rows: readonly Row[]): string {
  if (format === "jsonl") return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
  if (format === "name") return rows.map((row) => `${String(row["name"])}\n`).join("");
  return formatTable(resource.columns, format === "wide", rows);
}
