const MS_OF_UNIT = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const DURATION = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/;

/** The milliseconds of a duration such as `500ms`, `15s`, `1.5h` or `7d`; undefined for any other text. */
export function parseDuration(text: string): number | undefined {
  const [, count, unit] = DURATION.exec(text) ?? [];
  if (count === undefined) return undefined;
  return Math.round(Number(count) * MS_OF_UNIT[unit as keyof typeof MS_OF_UNIT]);
}

/** Uses the largest unit that gives a whole number. */
export function formatDuration(ms: number): string {
  const unit =
    (["d", "h", "m", "s"] as const).find((u) => ms > 0 && ms % MS_OF_UNIT[u] === 0) ?? "ms";
  return `${ms / MS_OF_UNIT[unit]}${unit}`;
}
