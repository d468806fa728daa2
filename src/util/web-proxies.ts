import { isIP } from "node:net";
import { contains, type Family, parseAddress, parseCidr } from "./cidr.ts";

/** The proxies for HTTP requests to other hosts. */
export interface WebProxies {
  /** For `http:` URLs. `http:` or `https:` itself; may hold a user name and password. */
  readonly http?: URL;
  /** For `https:` URLs. */
  readonly https?: URL;
  /** The hosts that are reached without a proxy, each as in `NO_PROXY`. */
  readonly exceptions: readonly string[];
}

/** The proxy for a URL; undefined if no proxy is used. */
export function proxyFor(url: URL, { http, https, exceptions }: WebProxies): URL | undefined {
  const proxy = url.protocol === "https:" ? https : http;
  if (proxy === undefined) return undefined;
  return exceptions.some((exception) => isExcepted(url, exception)) ? undefined : proxy;
}

/**
 * Reads `NO_PROXY` as curl does. A name means itself and all names below it, with or without a leading dot. An
 * address or CIDR applies only to addresses written in the URL, since names are not resolved for this. `*`
 * means all hosts. Besides, a name may begin with `*.`, and a port after a colon limits the entry to that port.
 */
function isExcepted(url: URL, exception: string): boolean {
  if (exception === "*") return true;
  const { name, port } = splitPort(exception);
  if (port !== undefined && port !== portOf(url)) return false;
  const host = bare(url.hostname);
  const family = isIP(host);
  if (family === 4 || family === 6) return covers(name, host, family);
  const domain = bare(name.replace(/^\*?\./, ""));
  return domain !== "" && (host === domain || host.endsWith(`.${domain}`));
}

/** `name`, `name:port`, `[address]`, `[address]:port`, or an IPv6 address or CIDR without brackets. */
function splitPort(exception: string): { readonly name: string; readonly port?: string } {
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(exception) ?? [];
  const name = bracketed ?? plain ?? exception;
  return port === undefined ? { name } : { name, port };
}

function portOf({ port, protocol }: URL): string {
  if (port !== "") return port;
  return protocol === "https:" ? "443" : "80";
}

function bare(host: string): string {
  return host
    .replace(/^\[(.*)\]$/, "$1")
    .replace(/\.$/, "")
    .toLowerCase();
}

function covers(block: string, host: string, family: Family): boolean {
  const address = parseAddress(host, family);
  if (address === undefined) return false;
  const cidr = parseCidr(block, family);
  return cidr === undefined ? parseAddress(block, family) === address : contains(cidr, address);
}
