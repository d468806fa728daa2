import type { IncomingMessage } from "node:http";
import { type Clock, systemClock } from "../../../util/clock.ts";
import { defined } from "../../../util/defined.ts";
import { N0Error } from "../../../util/errors.ts";
import { abortAfter } from "../../../util/race.ts";
import { webUrlFault } from "../../../util/source-url.ts";
import { proxyFor, type WebProxies } from "../../../util/web-proxies.ts";
import { get } from "./get.ts";
import { retryAfterMs } from "./headers.ts";
import type { SourceAddresses } from "./source-addresses.ts";
import { isPassingStatus, lasting, noAnswer, passing, statusText } from "./web-error.ts";

export interface AskOptions {
  /** The longest wait for the headers of the answer. */
  readonly responseTimeoutMs: number;
  readonly sources: SourceAddresses;
  readonly proxies: WebProxies;
  readonly clock: Clock;
}

/** The answer of a server, of which only the headers have been read. */
export interface Answer extends Disposable {
  readonly response: IncomingMessage;
  readonly status: number;
  /** The URL of the answer, after all redirects. */
  readonly url: URL;
  /** Ends the connection. */
  [Symbol.dispose](): void;
}

const REDIRECTS_MAX = 10;
const REDIRECT_STATUSES = [301, 302, 303, 307, 308];

/**
 * Sends a GET and follows redirects.
 *
 * @throws N0Error `unavailable` if no answer comes, or one that says to come again (with its `Retry-After`);
 * `failed_precondition` if the server cannot give one.
 */
export async function ask(
  first: URL,
  headers: Readonly<Record<string, string>>,
  options: AskOptions,
  signal: AbortSignal,
): Promise<Answer> {
  const { responseTimeoutMs, clock } = options;
  // Aborted at the end in any case, so that no connection outlives its use.
  const end = new AbortController();
  using late = abortAfter(systemClock, responseTimeoutMs, () =>
    passing(`${first.host} does not answer within ${responseTimeoutMs / 1000} s`),
  );
  try {
    const sent = { ...options, headers, timeoutMs: responseTimeoutMs };
    const both = AbortSignal.any([signal, end.signal, late.signal]);
    const { response, url } = await follow(first, { ...sent, signal: both });
    const { statusCode: status = 0 } = response;
    if (isPassingStatus(status)) {
      const ms = retryAfterMs(response.headers, clock.nowMs());
      throw passing(`${url.host} answers ${statusText(status)}`, defined({ retryAfterMs: ms }));
    }
    return { response, status, url, [Symbol.dispose]: () => end.abort() };
  } catch (cause) {
    end.abort();
    signal.throwIfAborted();
    if (cause instanceof N0Error) throw cause;
    late.signal.throwIfAborted();
    throw cause;
  }
}

/** We follow redirects ourselves, to check each address that a server sends us to. */
async function follow(
  first: URL,
  options: Parameters<typeof get>[1],
): Promise<Pick<Answer, "response" | "url">> {
  let url = first;
  for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects += 1) {
    const response = await getInWords(url, options);
    const { location } = response.headers;
    if (!REDIRECT_STATUSES.includes(response.statusCode ?? 0) || location === undefined) {
      return { response, url };
    }
    response.destroy();
    const next = URL.parse(location, url.href);
    if (next === null) throw lasting(`${url.host} redirects to something that is not a URL`);
    const fault = webUrlFault(next);
    if (fault !== undefined) throw lasting(`${url.host} redirects to a URL that ${fault}`);
    url = next;
  }
  throw lasting(`${first.host} redirects more than ${REDIRECTS_MAX} times`);
}

async function getInWords(url: URL, options: Parameters<typeof get>[1]): Promise<IncomingMessage> {
  try {
    return await get(url, options);
  } catch (cause) {
    if (cause instanceof N0Error || options.signal.aborted) throw cause;
    throw noAnswer(url, proxyFor(url, options.proxies), cause);
  }
}
