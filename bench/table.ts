import { isMet, measured, type Row } from "./measurement.ts";

const COLUMNS = ["what", "floor", "ours", "measured", "bar", ""] as const;

/** The rows as a table of Markdown, which is also readable on a terminal. */
export function formatTable(rows: readonly Row[]): string {
  const cells = [COLUMNS.map(String), ...rows.map(cellsOf)];
  const widths = COLUMNS.map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`;
  const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`;
  const [head = [], ...body] = cells;
  return [line(head), rule, ...body.map(line)].join("\n");
}

/** The notes of the rows that have one. */
export function formatNotes(rows: readonly Row[]): string {
  return rows
    .flatMap(({ what, note }) => (note === undefined ? [] : [`- ${what}: ${note}.`]))
    .join("\n");
}

function cellsOf(row: Row): string[] {
  const { what, floor, ours, bar, unit } = row;
  const quantity = (value: number) =>
    `${rounded(value)}${unit === "" || unit === "/s" ? unit : ` ${unit}`}`;
  const inBar = (value: number) => (floor === undefined ? quantity(value) : `${rounded(value)} ×`);
  const met = isMet(row);
  return [
    what,
    floor === undefined ? "" : quantity(floor),
    quantity(ours),
    floor === undefined ? "" : inBar(measured(row)),
    bar === undefined ? "" : "atMost" in bar ? `≤ ${inBar(bar.atMost)}` : `≥ ${inBar(bar.atLeast)}`,
    met === undefined ? "" : met ? "pass" : "MISS",
  ];
}

/** Three significant digits. */
function rounded(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
