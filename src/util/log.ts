import { AsyncLocalStorage } from "node:async_hooks";
import { pino } from "pino";
import { errorChain, N0Error } from "./errors.ts";

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Anything JSON can hold, and under `error` whatever was thrown. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Structured log: one JSON object a line. Messages are constant text; what varies is in the fields. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log whose every line bears `fields` as well. */
  child(fields: LogFields): Log;
}

export interface LogOptions {
  /** Least severe level that is written. Default `info`. */
  readonly level?: LogLevel;
  /** File that is appended to. Default: standard error, since standard output is for data. */
  readonly file?: string;
  /** Instead of a file: gets each line with its newline. */
  readonly write?: (line: string) => void;
}

/** Opens the log of a process. Lines are on disk when the call returns: a crash loses none. */
export function openLog(options: LogOptions = {}): Log {
  const { write } = options;
  const destination =
    write === undefined
      ? pino.destination({ dest: options.file ?? 2, sync: true, append: true, mkdir: true })
      : { write };
  const logger = pino(
    {
      level: options.level ?? "info",
      base: {},
      timestamp: pino.stdTimeFunctions.isoTime,
      messageKey: "message",
      formatters: { level: (level) => ({ level }) },
      mixin: () => ({ ...scope.getStore() }),
    },
    destination,
  );
  return fromPino(logger);
}

/** For what must be given a log and has nothing to say. */
export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLog,
};

function fromPino(logger: pino.Logger): Log {
  return {
    debug: (message, fields) => logger.debug(printable(fields), message),
    info: (message, fields) => logger.info(printable(fields), message),
    warn: (message, fields) => logger.warn(printable(fields), message),
    error: (message, fields) => logger.error(printable(fields), message),
    child: (fields) => fromPino(logger.child(printable(fields))),
  };
}

function printable(fields: LogFields | undefined): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields ?? {})) {
    out[key] = typeof value === "bigint" ? value.toString() : value;
  }
  const thrown = fields?.["error"];
  if (thrown === undefined) return out;
  out["error"] = errorChain(thrown);
  // An expected failure explains itself; the stack of a bug is what finds it.
  const stack = innermostStack(thrown);
  if (stack !== undefined) out["stack"] = stack;
  return out;
}

function innermostStack(thrown: unknown): string | undefined {
  let stack: string | undefined;
  let error: unknown = thrown;
  for (let depth = 0; error instanceof Error && depth < 16; depth += 1) {
    if (!(error instanceof N0Error)) stack = error.stack;
    error = error.cause;
  }
  return stack;
}

/** What every line within a call bears, such as `requestId` and `transactionId`. */
const scope = new AsyncLocalStorage<Record<string, unknown> | undefined>();

/** Runs `fn`; every line logged within it, also later and by others, bears `fields` as well. */
export function withLogFields<T>(fields: LogFields, fn: () => T): T {
  return scope.run({ ...scope.getStore(), ...fields }, fn);
}

/**
 * Adds to the fields of the scope that one is in, so that whoever opened it sees them too: the line
 * about an RPC names the transaction that was begun within it. Without a scope it does nothing.
 */
export function addLogFields(fields: LogFields): void {
  const store = scope.getStore();
  if (store !== undefined) Object.assign(store, fields);
}

/**
 * Runs `fn` outside of every scope: for what a call sets off and what goes on long after it, whose
 * lines are not about that call.
 */
export function withoutLogFields<T>(fn: () => T): T {
  return scope.run(undefined, fn);
}

/** The fields of the scope that one is in. */
export function logFields(): LogFields {
  return scope.getStore() ?? {};
}
