import { isIP } from "node:net";
import { LOOPBACK_HOSTS } from "../util/loopback.ts";
import type { NodeServerRequest } from "./http.ts";

/** Checks that a request names this server as its host. */
export type HostRule = (request: Pick<NodeServerRequest, "headers">) => boolean;

/** A host as a browser can send it: no user name, no path. */
const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/i;

/** The error for a refused client. */
export const HOST_REFUSAL =
  "this server asks for no token, so it answers only to localhost, to its own address, and to the " +
  "host of its public-url or advertise-address";

/**
 * The host names that a server without a token accepts. A page of an attacker can make its own DNS name
 * point to this host (DNS rebinding). For the browser both are then one origin, so no CORS rule applies,
 * but the request still has that name. Nobody can make an address mean another one, so a server that
 * listens on all addresses accepts any address.
 *
 * @param bindAddress As in `listen`.
 * @param named Returns more hosts, such as `cloud.example` or `10.0.0.1`. Called for each request.
 */
export function hostRule(bindAddress: string, named: () => readonly string[]): HostRule {
  const own = new Set([...LOOPBACK_HOSTS, bindAddress].map(normalized));
  const isEverywhere = isUnspecified(bindAddress);
  const isOwn = (text: string): boolean => {
    const host = hostOf(text);
    if (host === undefined) return false;
    if (own.has(host) || (isEverywhere && isAddress(host))) return true;
    return named().some((name) => normalized(name) === host);
  };
  return ({ headers }) => {
    // HTTP/2 has `:authority`, and may also have `host`.
    const given = [headers[":authority"], headers.host].filter((value) => value !== undefined);
    return given.length > 0 && given.every((value) => isOwn(String(value)));
  };
}

/** True if it means all addresses of the host. */
export function isUnspecified(address: string): boolean {
  return isIP(address) !== 0 && /^[0:.]+$/.test(address);
}

/** An address or name as in a URL: `[::1]` for `0:0:0:0:0:0:0:1`. */
export function urlHost(host: string): string {
  return isIP(host) === 6 ? `[${host}]` : host;
}

/** The host of `host` or `host:port`; undefined if the text is neither. */
function hostOf(text: string): string | undefined {
  const host = HOST.exec(text)?.[1];
  return host === undefined ? undefined : normalized(host);
}

function normalized(host: string): string {
  return URL.parse(`http://${urlHost(host)}`)?.hostname ?? host.toLowerCase();
}

function isAddress(host: string): boolean {
  return isIP(host.replace(/^\[(.*)\]$/, "$1")) !== 0;
}
