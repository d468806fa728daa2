import { isIPv6 } from "node:net";
import type { Interceptor, Transport } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { defined } from "../util/defined.ts";
import { N0Error } from "../util/errors.ts";
import { Http2Sessions } from "../util/http2-sessions.ts";
import { isReadOnTheWay } from "../util/loopback.ts";
import { quote } from "../util/quote.ts";
import { connectToTrusted } from "../util/trusted-socket.ts";
import { identityText } from "./certificate/identity.ts";
import { toConnectError } from "./errors.ts";
import { clientOptions, type MutualTls, skewInterceptor } from "./mutual-tls.ts";
import { unaryTimeoutInterceptor } from "./timeout.ts";

export const API_PORT_DEFAULT = 20180;
export const AGENT_PORT_DEFAULT = 20181;

const PING_INTERVAL_MS = 10_000;
const PING_TIMEOUT_MS = 5_000;
const IDLE_TIMEOUT_MS = 5 * 60_000;

/** Between our own processes: Connect over HTTP/2, one connection for all calls. */
export interface PeerTransport extends Transport {
  /** Ends the connection and all its calls. A later call opens a new one. */
  close(): void;
  /** True if no call runs. */
  isIdle(): boolean;
}

/** A token, and who may get it. */
export interface PeerToken {
  readonly value: string;
  /** The owner of its file. Root may get it too. */
  readonly ownerUid: number;
}

export interface PeerOptions {
  /**
   * Sent only over TLS and on loopback, and there only to a server of root, of the token's owner or of the
   * user of this process.
   */
  readonly token?: PeerToken;
  /** PEM of the authority that signed the peer's certificate. Default: the authorities of the system. */
  readonly ca?: string;
  /** PEM of our own certificate, for a peer that requires one. */
  readonly cert?: string;
  readonly key?: string;
  /** Both sides show certificates of our own authority. Then there is no token, and `ca`, `cert` and `key` do not count. */
  readonly mutual?: MutualTls;
  /** For calls with a single answer. Default: none. */
  readonly unaryTimeoutMs?: number;
}

/**
 * Opens a transport to an API or an agent. It connects at the first call. If the peer does not answer a
 * ping within 5 s, all calls end.
 *
 * @throws N0Error `invalid_argument` for an invalid address.
 */
export function openTransport(
  address: string,
  defaultPort: number,
  options: PeerOptions = {},
): PeerTransport {
  const baseUrl = baseUrlOf(address, defaultPort);
  const { ca, cert, key, mutual, token, unaryTimeoutMs } = options;
  if (mutual !== undefined && !baseUrl.startsWith("https:")) {
    throw new N0Error(
      "failed_precondition",
      `address ${quote(address)}: ${identityText(mutual.expected)} is called by https:// only`,
    );
  }
  const isWithheld = token !== undefined && isReadOnTheWay(baseUrl);
  const isBare = token !== undefined && !isWithheld && baseUrl.startsWith("http:");
  const session = {
    ...(isBare ? { createConnection: connectToTrusted([token.ownerUid]) } : {}),
    ...(mutual === undefined ? defined({ ca, cert, key }) : clientOptions(mutual)),
  };
  const sessionManager = new Http2Sessions(
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
      ...(mutual === undefined ? [] : [skewInterceptor(baseUrl, mutual.expected)]),
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

/** Says why the client sent no token. */
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
 * The URL for an address: `host`, `host:port`, `[::1]`, `[::1]:port`, `::1`, or a URL of `http`, `https`
 * or, as the original wrote it, `grpc`. Without a port it is `defaultPort`.
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
  // A URL drops the default port of its scheme, so this checks the text.
  const hasPort = /:\d+\/?$/.test(spelled.replace(/^[a-z]+:\/\//i, ""));
  const port = hasPort ? url.port || (url.protocol === "https:" ? "443" : "80") : defaultPort;
  return `${url.protocol}//${url.hostname}:${port}`;
}
