import { AsyncLocalStorage } from "node:async_hooks";
import { pino } from "pino";
import { errorChain, N0Error } from "./errors.ts";
import { cut } from "./quote.ts";

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Any JSON value; under `error`, any thrown value. */
export type LogFields = Readonly<Record<string, unknown>>;

/** A structured log: one JSON object a line. Messages are constant text; the fields hold what varies. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log that adds `fields` to each of its lines. */
  child(fields: LogFields): Log;
}

export interface LogOptions {
  /** The least severe level to write. Default `info`. */
  readonly level?: LogLevel;
  /** Called with each line and its newline. Default: standard error, since standard output is for data. */
  readonly write?: (line: string) => void;
}

/** Opens the log of a process. A call returns after its line is written, so a crash loses no line. */
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

/** For a function that needs a log while nothing should be logged. */
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
  // An expected failure explains itself. For a bug, the stack is needed to find it.
  const stack = innermostStack(thrown);
  if (stack !== undefined) out["stack"] = stack;
  return out;
}

/** The limit for the fields of a line. Its time, level and message are short. */
const FIELDS_BYTES_MAX = 7 << 10;
const FIELD_BYTES_MAX = 2 << 10;

/** As many of the fields as fit into a line: whole fields first, then the beginning of a long one. */
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

/** Nearly every line fits. An exact count would take as long as writing the line. */
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

/**
 * A value that takes at most this many bytes as JSON. A text is cut; of any other value, its JSON is cut as
 * text.
 */
function fitting(value: unknown, bytesMax: number): { value: unknown; bytes: number } | undefined {
  if (bytesMax < 16) return undefined;
  const isText = typeof value === "string";
  // Cut it first: the value may be a body of megabytes.
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

/** Fields for every line within a call, such as `requestId` and `transactionId`. */
const scope = new AsyncLocalStorage<Record<string, unknown> | undefined>();

/** Runs `fn`. Every line that is logged within it, by any function and also later, has `fields` too. */
export function withLogFields<T>(fields: LogFields, fn: () => T): T {
  return scope.run({ ...scope.getStore(), ...fields }, fn);
}

/**
 * Adds fields to the current scope, so that the caller who opened the scope sees them too: the line about an
 * RPC then names the transaction that began within it. Does nothing without a scope.
 */
export function addLogFields(fields: LogFields): void {
  const store = scope.getStore();
  if (store !== undefined) Object.assign(store, fields);
}

/**
 * Runs `fn` outside of every scope: for work that a call starts and that goes on long after the call. Its lines
 * are not about that call.
 */
export function withoutLogFields<T>(fn: () => T): T {
  return scope.run(undefined, fn);
}

/** The fields of the current scope. */
export function logFields(): LogFields {
  return scope.getStore() ?? {};
}
