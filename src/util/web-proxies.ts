import { isIP } from "node:net";
import { contains, type Family, parseAddress, parseCidr } from "./cidr.ts";

/** The proxies for HTTP requests to other hosts. */
export interface WebProxies {
  /** For `http:` URLs. `http:` or `https:` itself; may hold a user name and password. */
  readonly http?: URL;
  /** For `https:` URLs. */
  readonly https?: URL;
  /** What is asked without a proxy, each as `NO_PROXY` has it. */
  readonly exceptions: readonly string[];
}

/** The proxy through which to ask for a URL; undefined where it is asked for directly. */
export function proxyFor(url: URL, { http, https, exceptions }: WebProxies): URL | undefined {
  const proxy = url.protocol === "https:" ? https : http;
  if (proxy === undefined) return undefined;
  return exceptions.some((exception) => isExcepted(url, exception)) ? undefined : proxy;
}

/**
 * As curl reads `NO_PROXY`: a name stands for itself and all below it, with or without a dot before it; an
 * address or CIDR for addresses that are written in the URL, since names are not resolved for this; `*` for
 * all. Besides, `*.` may stand before a name, and a port behind a colon limits it to that port.
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
