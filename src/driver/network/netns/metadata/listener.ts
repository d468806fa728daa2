import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { MetadataReply, MetadataRequest } from "../../metadata.ts";
import { Turns } from "./turns.ts";

/** A caller by its address, and the address that it asks. */
export interface Ends {
  readonly address: string;
  readonly asked: string;
}

export type Answer = (ends: Ends, request: MetadataRequest) => Promise<MetadataReply | undefined>;

const HEADER_BYTES_MAX = 8 << 10;
const HEADERS_MAX = 64;
const PATH_CHARACTERS_MAX = 512;
/** For a whole request, and for a pause within it. */
const SLOW_MS = 5_000;
/** Of a connection between two requests. */
const IDLE_MS = 2_000;
/** Of a connection as a whole, however busy it is. */
const CONNECTION_MS = 30_000;
const CHECKS = 5;

export interface MetadataListener {
  /** Whoever lets it listen chooses where. */
  readonly server: Server;
  /** Ends it with its connections. */
  close(): void;
}

interface ListenerOptions {
  /** In milliseconds. */
  readonly now?: () => number;
  readonly slowMs?: number;
}

const NOT_FOUND: MetadataReply = { status: 404 };
/** RFC 9110 and RFC 6585 */
const TOO_OFTEN: MetadataReply = { status: 429, headers: { "retry-after": "1" } };
const WITH_BODY: MetadataReply = { status: 413 };
const WRONG_PATH: MetadataReply = { status: 400 };
const WRONG_METHOD: MetadataReply = { status: 405, headers: { allow: "GET, HEAD, PUT" } };
const FAILED: MetadataReply = { status: 503, headers: { "retry-after": "1" } };

/**
 * A server that answers guests and costs the same however they behave: it reads no bodies, waits for nobody, and
 * counts the connections and requests of each.
 *
 * What it ends, it resets. The kernel would otherwise wait for minutes for a guest that is gone, and keep the namespace
 * for that.
 */
export function newMetadataListener(
  answer: Answer,
  onFailure: (error: unknown) => void,
  { now = () => performance.now(), slowMs = SLOW_MS }: ListenerOptions = {},
): MetadataListener {
  const turns = new Turns(now);
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: slowMs,
      requestTimeout: slowMs,
      keepAliveTimeout: IDLE_MS,
      connectionsCheckingInterval: slowMs / CHECKS,
    },
    (request, response) => {
      const ends = endsOf(request.socket);
      if (ends === undefined) request.socket.destroy();
      else if (!turns.mayAsk(ends.address)) send(response, TOO_OFTEN);
      else void serve(request, response, () => replyTo(request, ends, answer), onFailure);
    },
  );
  server.maxHeadersCount = HEADERS_MAX;
  server.timeout = slowMs;
  // Without this, Node would switch to another protocol or open a tunnel if anything in the process listened for it.
  server.on("upgrade", (_request, socket) => socket.destroy());
  server.on("connect", (_request, socket) => socket.destroy());
  const open = new Set<Socket>();
  server.on("timeout", (socket) => socket.resetAndDestroy());
  server.on("connection", (socket) => admit(socket, turns, open));
  return {
    server,
    close() {
      server.close();
      for (const socket of open) socket.resetAndDestroy();
    },
  };
}

function admit(socket: Socket, turns: Turns, open: Set<Socket>): void {
  const ends = endsOf(socket);
  if (ends === undefined || !turns.enter(ends.address)) {
    socket.resetAndDestroy();
    return;
  }
  open.add(socket);
  const end = setTimeout(() => socket.resetAndDestroy(), CONNECTION_MS).unref();
  socket.once("close", () => {
    clearTimeout(end);
    open.delete(socket);
    turns.leave(ends.address);
  });
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  reply: () => Promise<MetadataReply>,
  onFailure: (error: unknown) => void,
): Promise<void> {
  try {
    send(response, await reply());
  } catch (error) {
    onFailure(error);
    if (response.headersSent) request.socket.destroy();
    else send(response, FAILED);
  }
}

async function replyTo(
  request: IncomingMessage,
  ends: Ends,
  answer: Answer,
): Promise<MetadataReply> {
  const { headers, method = "" } = request;
  const { "content-length": length = "0", "transfer-encoding": encoding } = headers;
  if (length !== "0" || encoding !== undefined) return WITH_BODY;
  if (method !== "GET" && method !== "HEAD" && method !== "PUT") return WRONG_METHOD;
  const [path = ""] = (request.url ?? "").split("?");
  if (!path.startsWith("/") || path.length > PATH_CHARACTERS_MAX) return WRONG_PATH;
  const asked = { method: method === "PUT" ? method : "GET", headers } as const;
  const found = await answer(ends, { ...asked, path: path.replace(/\/{2,}/g, "/") });
  return found ?? NOT_FOUND;
}

function send(response: ServerResponse, reply: MetadataReply): void {
  const { status, contentType = "text/plain", body = "", headers = {} } = reply;
  response.writeHead(status, {
    "content-type": contentType,
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    // What was wrong with one request may be wrong with what follows it.
    ...(status >= 400 ? { connection: "close" } : {}),
    ...headers,
  });
  response.end(body);
}

/** Undefined for a connection that has ended, and for addresses that say a device of another namespace. */
function endsOf(socket: Socket): Ends | undefined {
  try {
    const { remoteAddress, localAddress } = socket;
    if (remoteAddress === undefined || localAddress === undefined) return undefined;
    return { address: plain(remoteAddress), asked: plain(localAddress) };
  } catch {
    return undefined;
  }
}

/** An IPv4 address as such, on a socket for both. */
function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/, "");
}
