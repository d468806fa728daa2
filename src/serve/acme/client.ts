import { z } from "zod";
import type { Clock } from "../../util/clock.ts";
import { N0Error } from "../../util/errors.ts";
import { parseSafeUrl } from "../../util/json-request.ts";
import { cut } from "../../util/quote.ts";
import { abortAfter } from "../../util/race.ts";
import type { WebAnswer, WebRequest } from "../../util/web-request.ts";
import { AcmeError, acmeError } from "./acme-error.ts";
import { publicJwk, signed } from "./signed.ts";

const REQUEST_TIMEOUT_MS = 30_000;
const BYTES_MAX = 1 << 20;
/** A nonce is good for a while only. The server sends another with each refusal. */
const NONCE_TRIES_MAX = 6;
const RETRY_AFTER_MS_MAX = 7 * 24 * 3_600_000;

const DirectorySchema = z.object({
  newNonce: z.string(),
  newAccount: z.string(),
  newOrder: z.string(),
  meta: z.object({ externalAccountRequired: z.boolean().optional() }).optional(),
});

export interface AcmeClientOptions {
  readonly directoryUrl: string;
  /** The authority of the ACME server itself, PEM. Default: those of the system. */
  readonly ca?: string;
  readonly request: WebRequest;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Who signs a request: the key, and the URL of the account, once that is known. */
export interface Signer {
  readonly key: string;
  readonly url?: string;
}

export interface AcmeAnswer {
  readonly status: number;
  /** The URL of what the request made. */
  readonly location: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly text: string;
}

export interface AcmeClient {
  directory(): Promise<z.infer<typeof DirectorySchema>>;
  /**
   * @param what The request, for errors, such as `new order for a.example`.
   * @param payload Undefined reads the object at the URL.
   * @throws AcmeError if the server refuses; N0Error `unavailable` if it does not answer.
   */
  post(
    what: string,
    url: string,
    signer: Signer,
    payload?: Readonly<Record<string, unknown>>,
  ): Promise<AcmeAnswer>;
}

/** Speaks with one ACME server (RFC 8555). */
export function acmeClient(options: AcmeClientOptions): AcmeClient {
  let known: z.infer<typeof DirectorySchema> | undefined;
  let nonce: string | undefined;

  const send = async (method: "GET" | "HEAD" | "POST", url: string, content?: string) => {
    const answer = await ask(options, method, url, content);
    const fresh = answer.headers["replay-nonce"];
    if (typeof fresh === "string") nonce = fresh;
    return answer;
  };
  const directory = async () => {
    if (known !== undefined) return known;
    const { status, text } = await send("GET", options.directoryUrl);
    const read = DirectorySchema.safeParse(jsonOf(text));
    if (status !== 200 || !read.success) {
      throw new N0Error(
        "unavailable",
        `${options.directoryUrl} does not answer as the directory of an ACME server (status ${status})`,
      );
    }
    known = read.data;
    return known;
  };
  const takeNonce = async () => {
    if (nonce === undefined) await send("HEAD", (await directory()).newNonce);
    const taken = nonce;
    nonce = undefined;
    if (taken !== undefined) return taken;
    throw new N0Error("unavailable", "the ACME server sends no nonce");
  };

  return {
    directory,
    async post(what, url, { key, url: account }, payload) {
      const who = account === undefined ? { jwk: publicJwk(key) } : { kid: account };
      for (let tries = 1; ; tries += 1) {
        const header = { ...who, nonce: await takeNonce(), url };
        const answer = await send("POST", url, signed(key, header, payload));
        const { status, headers, text } = answer;
        const retryAfterMs = retryAfterOf(answer, options.clock);
        if (status < 400) return { status, location: headers.location, retryAfterMs, text };
        const late = retryAfterMs === undefined ? {} : { retryAfterMs };
        const error = acmeError(what, jsonOf(text), { status, ...late });
        if (error.type !== "badNonce" || tries === NONCE_TRIES_MAX) throw error;
      }
    },
  };
}

/** Whether the server does not know what the URL names, or knows it as that of another account. */
export function isGone(error: unknown): boolean {
  if (!(error instanceof AcmeError)) return false;
  return error.status === 404 || error.status === 410 || error.type === "unauthorized";
}

export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function ask(
  { clock, signal, ca, request }: AcmeClientOptions,
  method: "GET" | "HEAD" | "POST",
  url: string,
  content?: string,
): Promise<WebAnswer> {
  const safe = parseSafeUrl(url);
  if (safe === undefined) {
    throw new N0Error("unavailable", "the ACME server names a URL that does not begin with https:");
  }
  using late = abortAfter(clock, REQUEST_TIMEOUT_MS, () => new Error("no answer within 30 s"));
  try {
    return await request(safe, {
      method,
      headers: {
        "user-agent": "n0core",
        ...(content === undefined ? {} : { "content-type": "application/jose+json" }),
      },
      ...(content === undefined ? {} : { content }),
      ...(ca === undefined ? {} : { ca }),
      bytesMax: BYTES_MAX,
      signal: AbortSignal.any([late.signal, signal]),
    });
  } catch (cause) {
    signal.throwIfAborted();
    const reason = late.signal.aborted ? late.signal.reason : cause;
    const why = reason instanceof Error ? reason.message : String(reason);
    throw new N0Error("unavailable", `the ACME server at ${safe.host}: ${cut(why, 200)}`, {
      cause: reason,
    });
  }
}

/** Seconds, or a date. */
function retryAfterOf({ headers }: WebAnswer, clock: Clock): number | undefined {
  const value = headers["retry-after"];
  if (value === undefined) return undefined;
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - clock.nowMs();
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), RETRY_AFTER_MS_MAX);
}
