import { defined } from "../util/defined.ts";
import { N0Error } from "../util/errors.ts";
import type { WebProxies } from "../util/web-proxies.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The proxies in the environment, in the variables that curl and others read: `HTTP_PROXY`, `HTTPS_PROXY`
 * and `NO_PROXY`, or the same in lower case, which have precedence.
 *
 * @throws N0Error `invalid_argument` for an invalid URL, which the message does not repeat because it may
 *   contain a password; `failed_precondition` if this Node would ignore the proxies.
 */
export function webProxiesFrom(
  environment: Environment,
  nodeVersion: string = process.versions.node,
): WebProxies {
  const http = proxyFrom(environment, "HTTP_PROXY");
  const https = proxyFrom(environment, "HTTPS_PROXY");
  if ((http ?? https) !== undefined && !knowsProxies(nodeVersion)) {
    throw new N0Error(
      "failed_precondition",
      `HTTP_PROXY or HTTPS_PROXY is set, but Node ${nodeVersion} cannot use a proxy: run npm ci, ` +
        "which installs Node 24, or unset them",
    );
  }
  const exceptions = (read(environment, "NO_PROXY") ?? "").split(/[\s,]+/);
  return {
    ...defined({ http, https }),
    exceptions: exceptions.filter((exception) => exception !== ""),
  };
}

function proxyFrom(environment: Environment, name: string): URL | undefined {
  const text = read(environment, name);
  if (text === undefined) return undefined;
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  if (url === null || !/^https?:$/.test(url.protocol) || !/^\/?$/.test(url.pathname)) {
    const rule = "must be an http: or https: URL such as http://proxy.example:3128";
    throw new N0Error("invalid_argument", `${name} (from the environment): ${rule}`);
  }
  return url;
}

/** An empty variable counts as unset. */
function read(environment: Environment, name: string): string | undefined {
  return environment[name.toLowerCase()] || environment[name] || undefined;
}

/** `proxyEnv` of Node's `http.Agent`. An older Node would call the servers directly, without a warning. */
function knowsProxies(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 24 || (major === 24 && minor >= 5);
}
