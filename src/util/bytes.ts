import { N0Error } from "./errors.ts";
import { quote } from "./quote.ts";

const BINARY_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] as const;
const DECIMAL_UNITS = ["B", "kB", "MB", "GB", "TB", "PB", "EB"] as const;

/** Bytes in one of each unit. `Ki`, `Mi`, … are how Kubernetes writes KiB, MiB, …; `KB` is a common slip for kB. */
const BYTES_OF_UNIT: ReadonlyMap<string, bigint> = new Map([
  ["", 1n],
  ...BINARY_UNITS.map((unit, i): [string, bigint] => [unit, 1n << BigInt(10 * i)]),
  ...BINARY_UNITS.slice(1).map((unit, i): [string, bigint] => [
    unit.slice(0, 2),
    1n << BigInt(10 * (i + 1)),
  ]),
  ...DECIMAL_UNITS.map((unit, i): [string, bigint] => [unit, 1000n ** BigInt(i)]),
  ["KB", 1000n],
]);

/** The largest uint64. */
const BYTES_MAX = (1n << 64n) - 1n;

const SIZE = /^(\d{1,20})(?:\.(\d{1,18}))? ?([A-Za-z]{0,3})$/;

/**
 * Parses a size as people write it: `1073741824`, `1GiB`, `1.5 GiB` (1024-based), `1GB` (1000-based).
 *
 * @throws N0Error `invalid_argument` if the text is not a size, not a whole number of bytes, or above 2^64-1.
 */
export function parseBytes(text: string): bigint {
  const match = SIZE.exec(text);
  if (match === null)
    throw noSize(text, "write a number of bytes or a size such as 512MiB or 10GiB");
  const [, whole = "", fraction = "", unit = ""] = match;
  const unitBytes = BYTES_OF_UNIT.get(unit);
  if (unitBytes === undefined) {
    const letter = unit.charAt(0).toUpperCase();
    const known = BINARY_UNITS.find((u) => u.startsWith(letter) && u !== "B");
    const units = known === undefined ? "KiB, MiB, GiB or TiB" : `${known} or ${letter}B`;
    throw noSize(text, `the unit ${quote(unit)} is not known; write ${units}`);
  }
  const scale = 10n ** BigInt(fraction.length);
  const scaled = BigInt(whole + fraction) * unitBytes;
  if (scaled % scale !== 0n) throw noSize(text, "it is not a whole number of bytes");
  const bytes = scaled / scale;
  if (bytes > BYTES_MAX) throw noSize(text, "it is above 16EiB - 1, the largest possible size");
  return bytes;
}

function noSize(text: string, why: string): N0Error {
  return new N0Error("invalid_argument", `${quote(text)} is not a size: ${why}`);
}

/** The shortest exact form, in the largest 1024-based unit that divides it. `parseBytes` reads it back. */
export function formatBytes(bytes: bigint): string {
  let unit = 0;
  let count = bytes;
  while (count !== 0n && count % 1024n === 0n && unit < BINARY_UNITS.length - 1) {
    count /= 1024n;
    unit += 1;
  }
  return `${count}${unit === 0 ? "B" : BINARY_UNITS[unit]}`;
}

/**
 * For people: at most one decimal, rounded down, such as `23.3GiB`. Exact wherever `formatBytes` is as short.
 */
export function formatBytesRounded(bytes: bigint): string {
  let unit = 0;
  let unitBytes = 1n;
  while (bytes / unitBytes >= 1024n && unit < BINARY_UNITS.length - 1) {
    unitBytes *= 1024n;
    unit += 1;
  }
  const tenths = (bytes * 10n) / unitBytes;
  const decimal = tenths % 10n === 0n ? "" : `.${tenths % 10n}`;
  return `${tenths / 10n}${decimal}${BINARY_UNITS[unit]}`;
}
