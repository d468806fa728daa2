import type { JsonValue } from "@bufbuild/protobuf";
import { defined } from "../src/util/defined.ts";
import { callStream, only } from "./call.ts";
import type { CliContext } from "./context.ts";
import type { FlagValues } from "./convert/flags.ts";
import { requestFromFlags } from "./convert/flags.ts";
import { formatValue, messageToJson } from "./output.ts";
import type { Resource } from "./resource/resource.ts";
import { recordField, watchMethod } from "./resource/resource.ts";
import type { Row, TableWriter } from "./table.ts";
import { newTable } from "./table.ts";

/**
 * Prints each record, then each change, until an interrupt. The first records decide the widths of a table.
 * Every other format prints each answer of the Watch RPC by itself.
 */
export async function watchRecords(
  cli: CliContext,
  resource: Resource,
  name: string | undefined,
  flags: FlagValues = {},
) {
  const method = watchMethod(resource);
  const field = recordField(resource, method.output);
  const request = requestFromFlags(method.input, flags, defined({ name }));
  const format = cli.format();
  const isTable = format === "table" || format === "wide" || format === "name";
  const print = isTable ? newTablePrinter(cli, resource, field) : undefined;
  for await (const answer of await callStream(cli, method, only(request))) {
    const event = messageToJson(method.output, answer) as Row;
    if (print !== undefined) print(event);
    else
      cli.io.stdout.print(
        await formatValue(format === "yaml" ? "yaml" : "jsonl", event as JsonValue),
      );
  }
}

function newTablePrinter(cli: CliContext, resource: Resource, field: string) {
  const first: Row[] = [];
  let table: TableWriter | undefined;
  const { stdout } = cli.io;
  const isNames = cli.format() === "name";
  const rowText = (row: Row) => (isNames ? `${String(row["name"])}\n` : (table?.row(row) ?? ""));

  return (event: Row) => {
    const record = event[field] as Row | undefined;
    const deleted = event["deleted_name"];
    const isStart = table === undefined;
    if (isStart && record !== undefined) first.push(record);
    else if (record !== undefined) stdout.print(rowText(record));
    if (deleted !== undefined) stdout.print(rowText({ name: deleted, state: "(deleted)" }));
    if (!isStart || event["synced"] !== true) return;
    table = newTable(resource.columns, cli.format() === "wide", first);
    if (!isNames) stdout.print(table.header());
    for (const row of first) stdout.print(rowText(row));
  };
}
