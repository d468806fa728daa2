import { formatBytesRounded } from "../src/util/bytes.ts";
import { printable } from "./terminal-text.ts";

/** A record as proto JSON, with proto field names. */
export type Row = Readonly<Record<string, unknown>>;

export interface Column {
  /** The path in the record: `nics.ipv4_address` is that field of each nic. */
  readonly path: string;
  readonly header: string;
  /** Only shown by `-o wide`. */
  readonly isWide?: boolean;
  /** Shown if one of the first rows has a value in it, and by `-o wide`. */
  readonly isRare?: boolean;
  show(value: unknown): string;
}

export function cell(path: string): Column {
  const last = path.split(".").at(-1) ?? path;
  return { path, header: last.replaceAll("_", " ").toUpperCase(), show };
}

/** Bytes in a unit that people read. */
export function bytesOf(path: string): Column {
  const header = path
    .replace(/_bytes$/, "")
    .replaceAll("_", " ")
    .toUpperCase();
  return {
    path,
    header: header === "REQUEST" || header === "LIMIT" ? `${header} SIZE` : header,
    show: (value) => (typeof value === "string" ? formatBytesRounded(BigInt(value)) : show(value)),
  };
}

/** Thousandths of a core, as cores. */
export function milliOf(path: string): Column {
  const header = path
    .replace(/_milli_cores?$/, "")
    .replaceAll("_", " ")
    .toUpperCase();
  return {
    path,
    header,
    show: (value) => (typeof value === "number" ? String(value / 1000) : show(value)),
  };
}

function show(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (Array.isArray(value))
    return value
      .map(show)
      .filter((v) => v !== "")
      .join(",");
  if (typeof value === "object") {
    return Object.entries(value)
      .map(([key, v]) => `${key}=${show(v)}`)
      .join(",");
  }
  return textOf(value);
}

/** The text of a plain value; empty for any other value. */
export function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : "";
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  const [name, ...rest] = path;
  if (name === undefined) return value;
  if (Array.isArray(value)) return value.map((v) => valueAt(v, path));
  if (typeof value !== "object" || value === null) return undefined;
  return valueAt((value as Record<string, unknown>)[name], rest);
}

/** Rows of a table whose columns are as wide as the first rows made them. */
export interface TableWriter {
  header(): string;
  row(row: Row): string;
}

/** Columns are as wide as the header and `rows` need. Later rows may be wider. */
export function newTable(
  columns: readonly Column[],
  isWide: boolean,
  rows: readonly Row[],
): TableWriter {
  const textOf = (column: Column, row: Row) =>
    printable(column.show(valueAt(row, column.path.split("."))));
  const isShown = (column: Column) =>
    isWide ||
    (column.isWide !== true &&
      (column.isRare !== true || rows.some((row) => textOf(column, row) !== "")));
  const shown = columns.filter(isShown);
  const cells = (row: Row) => shown.map((column) => textOf(column, row));
  const all = [shown.map((c) => c.header), ...rows.map(cells)];
  const widths = shown.map((_, i) => all.reduce((w, r) => Math.max(w, r[i]?.length ?? 0), 0));
  const line = (texts: readonly string[]) =>
    `${texts
      .map((text, i) => text.padEnd(widths[i] ?? 0))
      .join("   ")
      .trimEnd()}\n`;
  return { header: () => line(shown.map((c) => c.header)), row: (row) => line(cells(row)) };
}

export function formatTable(
  columns: readonly Column[],
  isWide: boolean,
  rows: readonly Row[],
): string {
  const table = newTable(columns, isWide, rows);
  return table.header() + rows.map((row) => table.row(row)).join("");
}
