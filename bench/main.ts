// Measures what docs/bench.md lists, each against its floor in the same run: npm run bench -- --list
import { writeFileSync } from "node:fs";
import { inspect, parseArgs } from "node:util";
import { isMet, type Measurement, type Row } from "./measurement.ts";
import { measurements } from "./measurements.ts";
import { formatReport } from "./report.ts";
import { formatNotes, formatTable } from "./table.ts";

const RUNS_MIN = 7;

const HELP = `Usage: npm run bench -- [--only NAME,…] [--runs N] [--json FILE] [--write] [--list]

  --only   measures these alone
  --runs   how often each is measured, the median counts; default and least for the bars: ${RUNS_MIN}
  --json   also writes the numbers to a file
  --write  also writes docs/bench.md
  --list   prints the names and measures nothing
`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      runs: { type: "string" },
      json: { type: "string" },
      write: { type: "boolean" },
      list: { type: "boolean" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help === true) return print(HELP);
  if (values.list === true) return print(`${measurements.map(({ name }) => name).join("\n")}\n`);
  const runs = Number(values.runs ?? RUNS_MIN);
  if (!Number.isInteger(runs) || runs < 1) throw new Error("--runs: must be a whole number from 1");
  const rows: Row[] = [];
  for (const measurement of chosen(values.only)) {
    process.stderr.write(`measuring ${measurement.name}\n`);
    rows.push(...(await measurement.run({ runs })));
  }
  print(`${formatTable(rows)}\n\n${formatNotes(rows)}\n`);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`);
  if (values.write === true)
    writeFileSync(new URL("../docs/bench.md", import.meta.url), formatReport(rows, runs));
  return rows.some((row) => isMet(row) === false) ? 1 : 0;
}

function chosen(only: string | undefined): readonly Measurement[] {
  if (only === undefined) return measurements;
  return only.split(",").map((wanted) => {
    const found = measurements.find(({ name }) => name === wanted);
    if (found === undefined)
      throw new Error(`--only: no measurement is called "${wanted}"; see --list`);
    return found;
  });
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

// Not thrown: what a measurement has made on the node may still be being removed.
process.exitCode = await main().catch((reason: unknown) => {
  process.stderr.write(`${inspect(reason)}\n`);
  return 1;
});
