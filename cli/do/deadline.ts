import { types } from "node:util";
import { runInNewContext } from "node:vm";

/** Ends synchronous work, which no timer can interrupt: the engine's watchdog throws into it. */
export function withDeadline<T>(timeoutMs: number, work: () => T): T {
  return runInNewContext("work()", { work }, { timeout: timeoutMs }) as T;
}

/** The error is of another realm, so `instanceof Error` does not know it. */
export function isPastDeadline(reason: unknown): boolean {
  if (!types.isNativeError(reason)) return false;
  return "code" in reason && reason.code === "ERR_SCRIPT_EXECUTION_TIMEOUT";
}
