import { AsyncLocalStorage } from "node:async_hooks";
import { pino } from "pino";
import { errorChain, N0Error } from "./errors.ts";
import { cut } from "./quote.ts";

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
  /** Gets each line with its newline. Default: standard error, since standard output is for data. */
  readonly write?: (line: string) => void;
}

/** Opens the log of a process. A line is written when the call returns: a crash loses none. */
export function openLog(options: LogOptions = {}): Log {
  const { write } = options;
  const destination = write === undefined ? pino.destination({ dest: 2, sync: true }) : { write };
  const logger = pino(
    {
      level: options.level ?? "info",
      base: {},
      timestamp: pino.stdTimeFunctions.isoTime,
      messageKey: "message",
      formatters: { level: (level) => ({ level }), log: bounded },
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

/** Of a line, beside its time, its level and its message, which are short. */
const FIELDS_BYTES_MAX = 7 << 10;
const FIELD_BYTES_MAX = 2 << 10;

/** As much of the fields as a line may hold: what comes first whole, of what is long the beginning. */
function bounded(fields: Record<string, unknown>): Record<string, unknown> {
  if (isSurelyShort(fields)) return fields;
  const out: Record<string, unknown> = {};
  let leftBytes = FIELDS_BYTES_MAX;
  for (const [key, value] of Object.entries(fields)) {
    leftBytes -= Buffer.byteLength(key) + 6;
    const short = fitting(value, Math.min(leftBytes, FIELD_BYTES_MAX));
    if (short === undefined) continue;
    out[key] = short.value;
    leftBytes -= short.bytes;
  }
  return out;
}

/** As nearly every line is; to look closely takes as long as to write it. */
function isSurelyShort(fields: Record<string, unknown>): boolean {
  let bytes = 0;
  for (const [key, value] of Object.entries(fields)) {
    if (typeof value === "object") return false;
    // A control character, or half of a pair, takes six bytes.
    const most = typeof value === "string" ? value.length * 6 : 32;
    if (most > FIELD_BYTES_MAX) return false;
    bytes += most + key.length + 6;
  }
  return bytes <= FIELDS_BYTES_MAX;
}

/** A value that takes at most so many bytes as JSON; of anything but text, its JSON is cut as text. */
function fitting(value: unknown, bytesMax: number): { value: unknown; bytes: number } | undefined {
  if (bytesMax < 16) return undefined;
  const isText = typeof value === "string";
  // Before anything else is done with it: it may be a body of megabytes.
  const whole = isText ? cut(value, bytesMax) : value;
  const json = JSON.stringify(whole);
  if (json === undefined) return undefined;
  const bytes = Buffer.byteLength(json);
  if (bytes <= bytesMax) return { value: whole, bytes };
  const text = isText ? value : json;
  let lengthMax = Math.min(text.length, bytesMax);
  for (;;) {
    const short = cut(text, lengthMax);
    const shortBytes = Buffer.byteLength(JSON.stringify(short));
    if (shortBytes <= bytesMax) return { value: short, bytes: shortBytes };
    lengthMax = Math.floor((lengthMax * bytesMax) / (shortBytes + 8)) - 1;
  }
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
