import { isIPv6 } from "node:net";
import type { Interceptor, Transport } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import { createConnectTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { defined } from "../util/defined.ts";
import { N0Error } from "../util/errors.ts";
import { isReadOnTheWay } from "../util/loopback.ts";
import { quote } from "../util/quote.ts";
import { connectToTrusted } from "../util/trusted-socket.ts";
import { toConnectError } from "./errors.ts";
import { unaryTimeoutInterceptor } from "./timeout.ts";

export const API_PORT_DEFAULT = 20180;
export const AGENT_PORT_DEFAULT = 20181;

const PING_INTERVAL_MS = 10_000;
const PING_TIMEOUT_MS = 5_000;
const IDLE_TIMEOUT_MS = 5 * 60_000;

/** Between our own processes: Connect over HTTP/2, one connection for all calls. */
export interface PeerTransport extends Transport {
  /** Ends the connection and all calls on it; a later call opens a new one. */
  close(): void;
  /** No call is under way. */
  isIdle(): boolean;
}

/** A token, and who may know it. */
export interface PeerToken {
  readonly value: string;
  /** The user whose file it is from, besides root. */
  readonly ownerUid: number;
}

export interface PeerOptions {
  /**
   * Sent over TLS and on loopback alone, and there only to a server of root, of the token's owner or of the
   * user of this process.
   */
  readonly token?: PeerToken;
  /** PEM of the authority that signed the peer's certificate; default: the system's. */
  readonly ca?: string;
  /** PEM of our own certificate, for a peer that asks for one. */
  readonly cert?: string;
  readonly key?: string;
  /** For calls with a single answer. Default: none. */
  readonly unaryTimeoutMs?: number;
}

/**
 * Opens a transport to an API or an agent. Nothing is connected before the first call. A peer that
 * does not answer a ping within 5 s is taken for dead, and its calls end.
 *
 * @throws N0Error `invalid_argument` for an address that is none.
 */
export function openTransport(
  address: string,
  defaultPort: number,
  options: PeerOptions = {},
): PeerTransport {
  const baseUrl = baseUrlOf(address, defaultPort);
  const { ca, cert, key, token, unaryTimeoutMs } = options;
  const isWithheld = token !== undefined && isReadOnTheWay(baseUrl);
  const isBare = token !== undefined && !isWithheld && baseUrl.startsWith("http:");
  const session = {
    ...(isBare ? { createConnection: connectToTrusted([token.ownerUid]) } : {}),
    ...defined({ ca, cert, key }),
  };
  const sessionManager = new Http2SessionManager(
    baseUrl,
    {
      pingIntervalMs: PING_INTERVAL_MS,
      pingTimeoutMs: PING_TIMEOUT_MS,
      idleConnectionTimeoutMs: IDLE_TIMEOUT_MS,
    },
    session,
  );
  const transport = createConnectTransport({
    httpVersion: "2",
    baseUrl,
    sessionManager,
    interceptors: [
      ...(unaryTimeoutMs === undefined ? [] : [unaryTimeoutInterceptor(unaryTimeoutMs)]),
      ...(token === undefined
        ? []
        : [isWithheld ? withheldInterceptor(baseUrl) : tokenInterceptor(token.value)]),
    ],
    acceptCompression: [],
  });
  return {
    ...transport,
    close: () => sessionManager.abort(),
    isIdle: () => ["closed", "idle", "error"].includes(sessionManager.state()),
  };
}

function tokenInterceptor(token: string): Interceptor {
  return (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
}

/** Says why the server had no token to look at. */
function withheldInterceptor(baseUrl: string): Interceptor {
  return (next) => async (request) => {
    try {
      return await next(request);
    } catch (reason) {
      if (ConnectError.from(reason).code !== Code.Unauthenticated) throw reason;
      throw toConnectError(
        new N0Error(
          "failed_precondition",
          `${baseUrl} asks for a token, and a token is not sent over http: beyond loopback: give that server ` +
            "--tls-cert and --tls-key, and name it by https://",
        ),
      );
    }
  };
}

/**
 * The URL that an address stands for: `host`, `host:port`, `[::1]`, `[::1]:port`, `::1`, or a URL of
 * `http`, `https` or, as the original wrote it, `grpc`. Without a port it is `defaultPort`.
 *
 * @throws N0Error `invalid_argument`
 */
export function baseUrlOf(address: string, defaultPort: number): string {
  const authority = isIPv6(address) ? `[${address}]` : address;
  const spelled = /^[a-z]+:\/\//i.test(authority) ? authority : `http://${authority}`;
  const url = URL.parse(spelled.replace(/^grpc:/i, "http:"));
  const isBare = url !== null && /^\/?$/.test(url.pathname) && url.search === "" && url.hash === "";
  if (!isBare || url.username !== "" || !/^https?:$/.test(url.protocol) || url.hostname === "") {
    throw new N0Error(
      "invalid_argument",
      `address ${quote(address)}: must be host, host:port or http(s)://host:port`,
    );
  }
  // A URL drops the port that its scheme implies, so what was written has to be asked.
  const hasPort = /:\d+\/?$/.test(spelled.replace(/^[a-z]+:\/\//i, ""));
  const port = hasPort ? url.port || (url.protocol === "https:" ? "443" : "80") : defaultPort;
  return `${url.protocol}//${url.hostname}:${port}`;
}
