/** The maximum of Node's timers, in ms. A timer with more fires at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;
const HOUR_MS = 3_600_000;
/** The units of `grpc-timeout` that can exceed it with eight digits. */
const UNIT_MS: Readonly<Record<string, number>> = { H: HOUR_MS, M: 60_000, S: 1_000 };

/**
 * Removes a deadline of more than three weeks, because Connect would set a timer that ends the call at
 * once.
 */
export function dropEndlessDeadline(headers: Headers): void {
  const [, digits = "0", unit = ""] =
    /^(\d+)([HMS])$/.exec(headers.get("grpc-timeout") ?? "") ?? [];
  if (Number(digits) * (UNIT_MS[unit] ?? 0) > TIMER_MS_MAX) headers.delete("grpc-timeout");
  const connectMs = Number(headers.get("connect-timeout-ms") ?? "0");
  // A later check refuses values that are not a number or have too many digits.
  if (connectMs > TIMER_MS_MAX && connectMs < 1e10) headers.delete("connect-timeout-ms");
}
