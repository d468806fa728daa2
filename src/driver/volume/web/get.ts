import type { LookupOptions } from "node:dns";
import { lookup } from "node:dns/promises";
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { callbackify } from "node:util";
import { orAborted } from "../../../util/race.ts";
import { proxyFor, type WebProxies } from "../../../util/web-proxies.ts";
import type { SourceAddresses } from "./source-addresses.ts";
import { lasting, passing } from "./web-error.ts";

export interface GetOptions {
  readonly sources: SourceAddresses;
  readonly proxies: WebProxies;
  /** The longest wait for a proxy to connect. */
  readonly timeoutMs: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/**
 * The limit of provisional answers (100 to 199) before the final one. A server has at most a handful of reasons
 * for them.
 */
const INFORMATION_MAX = 16;

/**
 * Sends one GET, through the proxy of the URL if there is one, and follows no redirect. Without a proxy,
 * resolves the name once, and connects to the address that was checked: a second answer of the name server
 * could differ. With a proxy, the proxy resolves the name, and only it can refuse the address.
 *
 * @throws N0Error `failed_precondition` if the address is not allowed, or the answer is not HTTP; otherwise the
 * error of the socket.
 */
export async function get(url: URL, options: GetOptions): Promise<IncomingMessage> {
  const { sources, headers, proxies, signal, timeoutMs } = options;
  const proxy = proxyFor(url, proxies);
  const written = writtenAddress(url, proxy !== undefined);
  if (written !== undefined) await checkOpen(url, [written], sources);
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const send = url.protocol === "https:" ? httpsRequest : httpRequest;
  const request = send(url, {
    signal,
    headers: { accept: "*/*", "accept-encoding": "identity", "user-agent": "n0core", ...headers },
    ...(proxy === undefined
      ? { agent: false }
      : { agent: agentFor(url, proxy), timeout: timeoutMs }),
    ...(proxy === undefined ? { lookup: lookupOpen(url, sources) } : {}),
  });
  request.on("response", resolve).on("error", reject);
  request.on("upgrade", (_, socket) => {
    socket.destroy();
    reject(lasting(`${url.host} answers with another protocol than HTTP; check the URL`));
  });
  let informed = 0;
  request.on("information", () => {
    informed += 1;
    if (informed > INFORMATION_MAX) {
      request.destroy(lasting(`${url.host} sends provisional answers without end; check the URL`));
    }
  });
  // The caller waits for a result in every case.
  request.on("close", () =>
    reject(passing(`${url.host} does not answer: it closes the connection`)),
  );
  request.end();
  return await orAborted(promise, signal);
}

/** An address needs no lookup, and `localhost` at a proxy is the host of the proxy. */
function writtenAddress({ hostname }: URL, isProxied: boolean): string | undefined {
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  if (isIP(host) !== 0) return host;
  return isProxied && /^(.*\.)?localhost\.?$/.test(host) ? "127.0.0.1" : undefined;
}

/** For one request. We have chosen the proxy, so Node must not choose one. */
function agentFor(url: URL, proxy: URL): HttpAgent {
  const proxyEnv = { http_proxy: proxy.href, https_proxy: proxy.href };
  return url.protocol === "https:" ? new HttpsAgent({ proxyEnv }) : new HttpAgent({ proxyEnv });
}

function lookupOpen(url: URL, sources: SourceAddresses): LookupFunction {
  const find = callbackify(async (hostname: string, options: LookupOptions) => {
    const found = await lookup(hostname, { ...options, all: true });
    const addresses = found.map(({ address }) => address);
    const open = await checkOpen(url, addresses, sources);
    return found.filter(({ address }) => open.includes(address));
  });
  return (hostname, options, callback) => {
    find(hostname, options, (error, found) => {
      if (error !== null) return callback(error, []);
      const [first] = found;
      if (options.all === true || first === undefined) callback(null, found);
      else callback(null, first.address, first.family);
    });
  };
}

/** Returns the addresses that are allowed. @throws N0Error `failed_precondition` if there is none. */
async function checkOpen(
  url: URL,
  addresses: readonly string[],
  sources: SourceAddresses,
): Promise<readonly string[]> {
  const open: string[] = [];
  let closed: string | undefined;
  for (const address of addresses) {
    const why = await sources.whyClosed(address);
    if (why === undefined) open.push(address);
    else closed ??= `${address}, ${why}`;
  }
  if (open.length > 0 || closed === undefined) return open;
  throw lasting(
    `${url.host} is ${closed}: nodes fetch nothing from there, unless the setting ` +
      "--allowed-sources of the agent allows it",
  );
}
