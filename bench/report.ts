import { cpus } from "node:os";
import type { Row } from "./measurement.ts";
import { formatNotes, formatTable } from "./table.ts";

/** docs/bench.md: the table, with what is needed to read it. */
export function formatReport(rows: readonly Row[], runs: number): string {
  return `# Numbers

Written by \`npm run bench -- --write\`; not edited by hand. ${runs} runs of each, of which the median counts;
floor and ours in turn within one run. On ${cpus().length} cores, shared with whatever else ran on the machine.
A ratio compares like with like on any machine; absolute numbers are those of this one.

${formatTable(rows)}

${formatNotes(rows)}
`;
}
