// Measures, with the arguments of bench/main.ts, on a prepared host.
import { writeFileSync } from "node:fs";
import process from "node:process";
import { inspect } from "node:util";
import { isMet, type Row } from "./measurement.ts";
import { readOptions } from "./options.ts";
import { formatReport } from "./report.ts";
import { inWords, measureSlowness, withScaledBar } from "./slowness.ts";
import { formatNotes, formatTable } from "./table.ts";

async function measure(): Promise<number> {
  const { chosen, runs, json, write } = readOptions();
  const rows: Row[] = [];
  const slowness = await measureSlowness(runs);
  for (const measurement of chosen) {
    process.stderr.write(`measuring ${measurement.name}\n`);
    rows.push(...(await measurement.run({ runs })).map((row) => withScaledBar(row, slowness)));
  }
  process.stdout.write(`${formatTable(rows)}\n\n${inWords(slowness)}\n\n${formatNotes(rows)}\n`);
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(rows, null, 2)}\n`);
  if (write)
    writeFileSync(new URL("../docs/bench.md", import.meta.url), formatReport(rows, runs, slowness));
  return rows.some((row) => isMet(row) === false) ? 1 : 0;
}

// Not thrown, because a measurement may still be removing what it made on the node.
process.exitCode = await measure().catch((reason: unknown) => {
  process.stderr.write(`${inspect(reason)}\n`);
  return 1;
});
