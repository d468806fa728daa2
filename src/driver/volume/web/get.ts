import { lookup } from "node:dns";
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { BlockList, isIP, type LookupFunction } from "node:net";
import type { N0Error } from "../../../util/errors.ts";
import { proxyFor, type WebProxies } from "../../../util/web-proxies.ts";
import { lasting } from "./web-error.ts";

export interface GetOptions {
  /** Whether loopback, link-local and unspecified addresses may be asked. */
  readonly allowLocalSources: boolean;
  readonly proxies: WebProxies;
  /** Longest wait for a proxy to connect. */
  readonly timeoutMs: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/**
 * What only this node reaches under these addresses (an n0core without a token, the metadata service
 * of a cloud) is not for whoever may name a URL and read back what it answered.
 */
const LOCAL = new BlockList();
LOCAL.addSubnet("0.0.0.0", 8, "ipv4");
LOCAL.addSubnet("127.0.0.0", 8, "ipv4");
LOCAL.addSubnet("169.254.0.0", 16, "ipv4");
LOCAL.addAddress("::", "ipv6");
LOCAL.addAddress("::1", "ipv6");
LOCAL.addSubnet("fe80::", 10, "ipv6");

/** Whether an IP address is loopback, link-local or unspecified, also as IPv4 written in IPv6. */
export function isLocalAddress(address: string): boolean {
  return LOCAL.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}

/**
 * Sends one GET, through the proxy of the URL if there is one, and follows no redirect. Without a proxy a
 * name is resolved once, and what was looked at is what is connected to: a second answer of its name server
 * could be another. With one, the proxy resolves the name, and it alone can refuse what that leads to.
 *
 * @throws N0Error `failed_precondition` for an address that is not allowed, or an answer that is none, else
 *   what the socket threw.
 */
export async function get(url: URL, options: GetOptions): Promise<IncomingMessage> {
  const { allowLocalSources, headers, proxies, signal, timeoutMs } = options;
  const proxy = proxyFor(url, proxies);
  if (!allowLocalSources && isWrittenLocal(url, proxy !== undefined)) throw notAllowed(url);
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const send = url.protocol === "https:" ? httpsRequest : httpRequest;
  const request = send(url, {
    signal,
    headers: { accept: "*/*", "accept-encoding": "identity", "user-agent": "n0core", ...headers },
    ...(proxy === undefined
      ? { agent: false }
      : { agent: agentFor(url, proxy), timeout: timeoutMs }),
    ...(proxy !== undefined || allowLocalSources ? {} : { lookup: lookupElsewhere(url) }),
  });
  request.on("response", resolve).on("error", reject);
  request.on("upgrade", (_, socket) => {
    socket.destroy();
    reject(lasting(`${url.host} answers with another protocol than HTTP; check the URL`));
  });
  request.end();
  return await promise;
}

/** An address is not looked up, and a proxy's `localhost` is the proxy's machine. */
function isWrittenLocal({ hostname }: URL, isProxied: boolean): boolean {
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  if (isIP(host) !== 0) return isLocalAddress(host);
  return isProxied && /^(.*\.)?localhost\.?$/.test(host);
}

/** For one request. The proxy has been chosen: Node is not to choose once more. */
function agentFor(url: URL, proxy: URL): HttpAgent {
  const proxyEnv = { http_proxy: proxy.href, https_proxy: proxy.href };
  return url.protocol === "https:" ? new HttpsAgent({ proxyEnv }) : new HttpAgent({ proxyEnv });
}

function lookupElsewhere(url: URL): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, []);
      const addresses = found.filter(({ address }) => !isLocalAddress(address));
      const [first] = addresses;
      if (first === undefined) return callback(notAllowed(url), []);
      if (options.all === true) return callback(null, addresses);
      callback(null, first.address, first.family);
    });
  };
}

function notAllowed(url: URL): N0Error {
  return lasting(
    `${url.host} is a loopback or link-local address of the node, from which only an agent with ` +
      "allow-local-sources fetches",
  );
}
