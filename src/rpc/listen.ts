import { createServer as createHttpServer } from "node:http";
import { createServer as createHttp2Server, createSecureServer } from "node:http2";
import type { AddressInfo, Server } from "node:net";
import type { ConnectRouter, Interceptor } from "@connectrpc/connect";
import { defined } from "../util/defined.ts";
import { N0Error } from "../util/errors.ts";
import type { Log } from "../util/log.ts";
import type { Authenticate } from "./caller.ts";
import { type AdmitCertificate, certificateGate } from "./certificate/gate.ts";
import type { OriginRule } from "./cors.ts";
import { CONNECTIONS_MAX, RECEIVE_TIMEOUT_MS, STREAMS_MAX } from "./door/bounds.ts";
import type { ConnectionBounds } from "./door/connections.ts";
import { boundConnections, boundSessions } from "./door/connections.ts";
import { newRefusals, type OnRefused } from "./door/refusals.ts";
import type { Audience } from "./errors.ts";
import { hostRule } from "./host.ts";
import type { HttpHandler, NodeServerRequest, NodeServerResponse, UpgradeHandler } from "./http.ts";
import { requestListener, upgradeListener } from "./request-listener.ts";
import { rpcHandler } from "./rpc-handler.ts";
import { type ServerTls, serverTls } from "./server-tls.ts";
import { sniffingServer } from "./sniff.ts";
import { openGate, tokenGate } from "./token-auth.ts";
import type { ConnectionTracker } from "./track.ts";
import { trackConnections } from "./track.ts";

const HEADERS_TIMEOUT_MS = 10_000;
/**
 * Connections that the kernel holds until this process takes them, at most net.core.somaxconn. One more is
 * dropped, and its client tries again after a second. Node's 511 are too few for a burst of clients.
 */
const BACKLOG = CONNECTIONS_MAX;

export interface ListenOptions {
  readonly host: string;
  /** 0 means any free port. */
  readonly port: number;
  readonly log: Log;
  /** Called for each caller who is refused before a call begins. */
  readonly onRefused?: OnRefused;
  /** Default: clients, who do not get the error texts of the programs on a node. */
  readonly audience?: Audience;
  readonly tls?: ServerTls;
  /** Decides about clients with a certificate of `tls.authority`, before any token. */
  readonly admitCertificate?: AdmitCertificate;
  /**
   * Who sends it is the administrator. Required for every call, unless `authenticate` accepts another token,
   * except health and handlers that authenticate by themselves.
   */
  readonly token?: string;
  /** Finds the caller of any other token. Used only with `token`. */
  readonly authenticate?: Authenticate;
  readonly routes: (router: ConnectRouter) => void;
  /** These run inside the common interceptors. */
  readonly interceptors?: readonly Interceptor[];
  /** Tried in order before the RPCs. */
  readonly httpHandlers?: readonly HttpHandler[];
  readonly upgradeHandlers?: readonly UpgradeHandler[];
  /** Default: no page of another origin. */
  readonly isOriginAllowed?: OriginRule;
  /**
   * More hosts by which clients reach it, in addition to localhost and `host`. Only a server without a
   * token checks them: see `hostRule`. Called for each request.
   */
  readonly publicHosts?: () => readonly string[];
  /** The header `n0-version` of every answer. */
  readonly version?: string;
  /** How long a client may take to send its headers. Default 10 s. */
  readonly headersTimeoutMs?: number;
  /** How long a client may take for a whole request, or for the first message of a stream. Default 30 s. */
  readonly receiveTimeoutMs?: number;
  /** At once. Default 4096; one address gets a quarter of them. */
  readonly connectionsMax?: number;
  /** How long an HTTP/2 connection may have no call. Default 10 min. */
  readonly idleSessionMs?: number;
}

export interface Listener {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  /** New connections get these certificates. Those that exist go on. */
  replaceTls(tls: ServerTls): void;
  /**
   * Stops accepting, sends GOAWAY to connected clients, ends endless streams, waits at most `graceMs` for
   * running calls, then ends the rest. Can be called again, with a shorter time.
   */
  stop(graceMs: number): Promise<void>;
}

/**
 * Serves Connect, gRPC, gRPC-web (over HTTP/1.1 and HTTP/2), plain HTTP and WebSocket on one port, with
 * health and reflection.
 *
 * @throws N0Error `failed_precondition` if it cannot listen on the address.
 */
export async function listen(options: ListenOptions): Promise<Listener> {
  const stopping = new AbortController();
  const cutting = new AbortController();
  const refusals = newRefusals(options.log, options.onRefused);
  const tracker = trackConnections();
  const { token, authenticate, host, publicHosts = () => [] } = options;
  // A page without a token gets nothing, whatever its host name.
  const isOpen = token === undefined && options.tls?.agentsOnly !== true;
  const isOwnHost = isOpen ? hostRule(host, publicHosts) : undefined;
  const others = token === undefined ? openGate : tokenGate({ token, authenticate, refusals });
  const gate = certificateGate({ ...options, refusals, others });
  const checked = { ...options, refusals, gate, isOwnHost };
  const rpc = rpcHandler(checked, stopping.signal, cutting.signal);
  const bounds = boundsOf(options, refusals);
  const { server, replaceTls } = createServer(options, bounds, tracker, {
    onRequest: tracker.counted(requestListener(checked, rpc)),
    onUpgrade: upgradeListener(checked),
  });
  boundConnections(server, bounds);
  await opened(server, options);
  const { address, port } = addressOf(server);
  const scheme = options.tls === undefined ? "http" : "https";
  return {
    host: address,
    port,
    url: `${scheme}://${address.includes(":") ? `[${address}]` : address}:${port}`,
    replaceTls,
    stop: async (graceMs) => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      stopping.abort();
      await tracker.drain(graceMs);
      cutting.abort();
      tracker.cut();
      await closed;
    },
  };
}

interface Listeners {
  readonly onRequest: (request: NodeServerRequest, response: NodeServerResponse) => void;
  readonly onUpgrade: ReturnType<typeof upgradeListener>;
}

function boundsOf(
  options: ListenOptions,
  refusals: ConnectionBounds["refusals"],
): ConnectionBounds {
  const { connectionsMax = CONNECTIONS_MAX, idleSessionMs } = options;
  return {
    connectionsMax,
    settingsTimeoutMs: options.headersTimeoutMs ?? HEADERS_TIMEOUT_MS,
    ...defined({ idleSessionMs }),
    refusals,
  };
}

function createServer(
  options: ListenOptions,
  bounds: ConnectionBounds,
  tracker: ConnectionTracker,
  { onRequest, onUpgrade }: Listeners,
): Pick<Listener, "replaceTls"> & { readonly server: Server } {
  const headersTimeout = options.headersTimeoutMs ?? HEADERS_TIMEOUT_MS;
  const settings = { maxConcurrentStreams: STREAMS_MAX };
  const timeouts = {
    headersTimeout,
    // A call ends before that by itself. This is for a body that nobody reads any more.
    requestTimeout: headersTimeout + 2 * (options.receiveTimeoutMs ?? RECEIVE_TIMEOUT_MS),
    connectionsCheckingInterval: Math.min(headersTimeout, 5000),
  };
  if (options.tls !== undefined) {
    const tls = serverTls(options.tls);
    const server = createSecureServer(
      {
        allowHTTP1: true,
        ...tls.options,
        handshakeTimeout: headersTimeout,
        settings,
        ...timeouts,
      },
      onRequest,
    );
    server.on("upgrade", onUpgrade);
    // A challenge of ACME ends with the handshake.
    server.on("unknownProtocol", (socket) => socket.destroy());
    tracker.watch({ sockets: server, sessions: server, http1: undefined });
    boundSessions(server, server, bounds);
    return { server, replaceTls: (next) => tls.replace(server, next) };
  }
  const http1 = createHttpServer(timeouts, onRequest);
  http1.on("upgrade", onUpgrade);
  const http2 = createHttp2Server({ settings }, onRequest);
  const server = sniffingServer(http1, http2, headersTimeout);
  tracker.watch({ sockets: server, sessions: http2, http1 });
  boundSessions(http2, server, bounds);
  return { server, replaceTls: () => {} };
}

async function opened(server: Server, { host, port }: ListenOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) =>
      reject(
        new N0Error("failed_precondition", `cannot listen on ${host}:${port}: ${cause.message}`, {
          cause,
        }),
      ),
    );
    server.listen({ host, port, backlog: BACKLOG }, resolve);
  });
}

function addressOf(server: Server): AddressInfo {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a server without a port");
  return address;
}
