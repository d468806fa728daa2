import { stringify } from "yaml";
import type { CliContext } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { cell, formatTable, textOf } from "../table.ts";
import type { FilledOutputs } from "./outputs.ts";

/**
 * Prints the outputs behind the answers of the tasks, as one more document: `{"outputs": {…}}`. A terminal gets
 * a table, and `-o name` has names of objects only.
 */
export function printOutputs(cli: CliContext, { values, missing }: FilledOutputs): void {
  for (const line of missing) cli.say(line);
  if (missing.length > 0) cli.exitCode = EXIT.failed;
  const asked = cli.flags().output;
  const isTable = asked === "table" || asked === "wide" || cli.io.stdout.isTerminal;
  if (asked === "name") return;
  if (asked === "jsonl") cli.io.stdout.print(`${JSON.stringify({ outputs: values })}\n`);
  else if (asked === "yaml") cli.io.stdout.print(`---\n${stringify({ outputs: values })}`);
  else if (asked === "json" || !isTable) {
    cli.io.stdout.print(`${JSON.stringify({ outputs: values }, null, 2)}\n\n`);
  } else {
    const rows = Object.entries(values).map(([name, value]) => ({
      name,
      value: typeof value === "object" && value !== null ? JSON.stringify(value) : textOf(value),
    }));
    cli.io.stdout.print(formatTable([cell("name"), cell("value")], false, rows));
  }
}
