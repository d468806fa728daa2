import { cpus } from "node:os";
import type { Row } from "./measurement.ts";
import { inWords } from "./slowness.ts";
import { formatNotes, formatTable } from "./table.ts";

/** docs/bench.md: the table, and how to read it. */
export function formatReport(rows: readonly Row[], runs: number, slowness: number): string {
  return `# Numbers

Written by \`npm run bench -- --write\`; do not edit it by hand. Each figure is the median of ${runs} runs;
each run measures the floor and ours in turn. On ${cpus().length} cores, shared with all other programs on the computer.
A ratio is comparable between computers; absolute numbers are those of this one.
${inWords(slowness)}

${formatTable(rows)}

${formatNotes(rows)}
`;
}
