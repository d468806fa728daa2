import { lookup } from "node:dns";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { BlockList, isIP, type LookupFunction } from "node:net";
import type { N0Error } from "../../../util/errors.ts";
import { refused } from "../volume-errors.ts";

export interface WebOptions {
  /** Whether loopback, link-local and unspecified addresses may be asked. */
  readonly allowLocalSources: boolean;
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
 * Sends one GET, and follows no redirect. A name is resolved once, and what was looked at is what is
 * connected to: a second answer of its name server could be another.
 *
 * @throws N0Error `failed_precondition` for an address that is not allowed, else what the socket threw.
 */
export async function get(
  url: URL,
  { allowLocalSources, signal }: WebOptions,
): Promise<IncomingMessage> {
  // An address is not looked up.
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  if (!allowLocalSources && isIP(host) !== 0 && isLocalAddress(host)) throw notAllowed(url);
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const send = url.protocol === "https:" ? httpsRequest : httpRequest;
  const request = send(url, {
    agent: false,
    signal,
    headers: { accept: "*/*", "accept-encoding": "identity", "user-agent": "n0core" },
    ...(allowLocalSources ? {} : { lookup: lookupElsewhere(url) }),
  });
  request.on("response", resolve).on("error", reject).end();
  return await promise;
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
  return refused(
    `source_url: ${url.host} is a loopback or link-local address of the node, from which only an ` +
      "agent with allow-local-sources fetches",
  );
}
