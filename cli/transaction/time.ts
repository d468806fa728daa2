import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { timestampDate, timestampMs } from "@bufbuild/protobuf/wkt";
import { parseDuration } from "../../src/util/duration.ts";
import { quote } from "../../src/util/quote.ts";
import { CliError } from "../errors.ts";

/** `2026-11-21T15:30:12Z`; empty for none. */
export function timeText(time: Timestamp | undefined): string {
  return time === undefined
    ? ""
    : timestampDate(time)
        .toISOString()
        .replace(/\.\d+Z$/, "Z");
}

/** `12ms`, `1.3s`, `4m05s`, `2h05m`, `3d04h`. */
export function tookText(ms: number): string {
  const two = (n: number) => Math.floor(n).toString().padStart(2, "0");
  const seconds = ms / 1000;
  if (ms < 1000) return `${Math.max(0, Math.round(ms))}ms`;
  if (seconds < 60) return `${seconds.toFixed(1)}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h${two((seconds % 3600) / 60)}m`;
  return `${Math.floor(seconds / 86_400)}d${two((seconds % 86_400) / 3600)}h`;
}

/** The milliseconds between two times, or until now if the second is missing. */
export function betweenMs(
  from: Timestamp | undefined,
  to: Timestamp | undefined,
  nowMs: number,
): number {
  if (from === undefined) return 0;
  return (to === undefined ? nowMs : timestampMs(to)) - timestampMs(from);
}

/** A time ago such as `24h` or `7d`, or a moment such as `2026-11-21` or `2026-11-21T15:30:00Z`, in RFC 3339. */
export function parseSince(text: string, nowMs: number): string {
  const ageMs = parseDuration(text);
  const isMoment = /^\d{4}-\d\d-\d\d/.test(text);
  const ms = ageMs === undefined ? (isMoment ? Date.parse(text) : Number.NaN) : nowMs - ageMs;
  if (!(ms >= 0)) {
    throw new CliError(`${quote(text)} is not a time: write 24h, 7d or 2026-11-21T15:30:00Z`);
  }
  return new Date(ms).toISOString();
}
