import { isIP } from "node:net";
import { LOOPBACK_HOSTS } from "../util/loopback.ts";
import type { NodeServerRequest } from "./http.ts";

/** Whether a server is called by a name that is its own. */
export type HostRule = (request: Pick<NodeServerRequest, "headers">) => boolean;

/** A host as a browser may send it: no user name, no path. */
const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/i;

/** What a client is told that is refused. */
export const HOST_REFUSAL =
  "this server asks for no token, so it answers only to localhost, to its own address, and to the " +
  "host of its public-url or advertise-address";

/**
 * The names that a server without a token answers to. A page of an attacker can make its own name
 * resolve to this machine (DNS rebinding): to the browser both are then one origin, which no CORS
 * rule sees, but the request still bears that name. An address cannot be made to mean another one,
 * so that a server which listens everywhere answers to any.
 *
 * @param bindAddress As in `listen`.
 * @param named More hosts, such as `cloud.example` or `10.0.0.1`; asked again at each request.
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
    // HTTP/2 has `:authority`, and may have `host` as well.
    const given = [headers[":authority"], headers.host].filter((value) => value !== undefined);
    return given.length > 0 && given.every((value) => isOwn(String(value)));
  };
}

/** Whether who listens on it listens on every address of the machine. */
export function isUnspecified(address: string): boolean {
  return isIP(address) !== 0 && /^[0:.]+$/.test(address);
}

/** An address or name as it stands in a URL: `[::1]` for `0:0:0:0:0:0:0:1`. */
export function urlHost(host: string): string {
  return isIP(host) === 6 ? `[${host}]` : host;
}

/** The host of `host` or `host:port`; undefined where it is none. */
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
