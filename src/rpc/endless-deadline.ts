/** The longest that a timer of Node's waits, in ms; one that is set to more ends at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;
const HOUR_MS = 3_600_000;
/** Of `grpc-timeout`; the other units cannot come to so much with the eight digits that it may have. */
const UNIT_MS: Readonly<Record<string, number>> = { H: HOUR_MS, M: 60_000, S: 1_000 };

/** A deadline in more than three weeks is none: Connect would set a timer that ends the call at once. */
export function dropEndlessDeadline(headers: Headers): void {
  const [, digits = "0", unit = ""] =
    /^(\d+)([HMS])$/.exec(headers.get("grpc-timeout") ?? "") ?? [];
  if (Number(digits) * (UNIT_MS[unit] ?? 0) > TIMER_MS_MAX) headers.delete("grpc-timeout");
  const connectMs = Number(headers.get("connect-timeout-ms") ?? "0");
  // What is no number, or has more digits than it may have, is refused later.
  if (connectMs > TIMER_MS_MAX && connectMs < 1e10) headers.delete("connect-timeout-ms");
}
