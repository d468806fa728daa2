import type { Clock } from "./clock.ts";
import { N0Error } from "./errors.ts";
import { isReadOnTheWay } from "./loopback.ts";
import { cut, quote } from "./quote.ts";
import { abortAfter } from "./race.ts";
import { requestWeb } from "./web-request.ts";

const URL_LENGTH_MAX = 2048;

export interface JsonRequestOptions {
  readonly clock: Clock;
  /** For the whole request, from the look-up of the name to the last byte. */
  readonly timeoutMs: number;
  /** The maximum size of the answer. */
  readonly bytesMax: number;
  /** Sent by POST, as a web form. Without it, the request is a GET. */
  readonly form?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** The answer of a server: an object of JSON, whatever its status; an empty one for an answer without content. */
export interface JsonAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/**
 * Asks a web server for a small object of JSON. It follows no redirect. The server cannot make it wait longer
 * than `timeoutMs`, nor hold more than `bytesMax`.
 *
 * @throws N0Error `unavailable` if there is no such answer; the reason of `signal` if that aborts.
 */
export async function requestJson(url: URL, options: JsonRequestOptions): Promise<JsonAnswer> {
  const { clock, timeoutMs, signal } = options;
  using late = abortAfter(clock, timeoutMs, () => new Error(`no answer within ${timeoutMs} ms`));
  const either = signal === undefined ? late.signal : AbortSignal.any([late.signal, signal]);
  try {
    const { status, text } = await receive(url, options, either);
    return { status, body: parseObject(text, status) };
  } catch (cause) {
    signal?.throwIfAborted();
    const reason = late.signal.aborted ? late.signal.reason : cause;
    const why = reason instanceof Error ? reason.message : String(reason);
    throw new N0Error("unavailable", `${shown(url)}: ${cut(why, 200)}`, { cause: reason });
  }
}

/**
 * A URL that secrets may be sent to, and that cannot be replaced on the way: `https`, or `http` on loopback.
 *
 * @returns undefined for any other text.
 */
export function parseSafeUrl(text: unknown): URL | undefined {
  if (typeof text !== "string" || text.length > URL_LENGTH_MAX) return undefined;
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || isReadOnTheWay(url)) return undefined;
  return url.username === "" && url.password === "" ? url : undefined;
}

async function receive(url: URL, { bytesMax, form }: JsonRequestOptions, signal: AbortSignal) {
  const accept = { accept: "application/json" };
  if (form === undefined) {
    return await requestWeb(url, { method: "GET", headers: accept, bytesMax, signal });
  }
  return await requestWeb(url, {
    method: "POST",
    headers: { ...accept, "content-type": "application/x-www-form-urlencoded" },
    content: new URLSearchParams(form).toString(),
    ...{ bytesMax, signal },
  });
}

function parseObject(text: string, status: number): Readonly<Record<string, unknown>> {
  const value = text === "" ? {} : parseJson(text);
  if (isObject(value)) return value;
  throw new Error(`answers status ${status} and no object of JSON`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Without the query, which may hold a secret. */
function shown(url: URL): string {
  return quote(`${url.origin}${url.pathname}`);
}
