import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { connectNodeAdapter } from "@connectrpc/connect-node";
import { REQUEST_ID_HEADER, requestIdOf } from "./log-interceptor.ts";

type NodeHandler = ReturnType<typeof connectNodeAdapter>;

/** The header of every answer with the version of n0stack. */
export const VERSION_HEADER = "n0-version";

/** A request of HTTP/1.1 or HTTP/2. */
export type NodeServerRequest = Parameters<NodeHandler>[0];
export type NodeServerResponse = Parameters<NodeHandler>[1];

/** A plain HTTP route, on the port of the RPCs. */
export interface HttpHandler {
  /** The prefix of its paths, such as `/n0core/static/`. */
  readonly pathPrefix: string;
  /**
   * `server` (the default): the server asks for its token, if it has one. `own`: the handler authenticates,
   * because a browser that follows a link cannot send a header.
   */
  readonly authentication?: "server" | "own";
  /** Answers the request. An error becomes a 500 without details, and is logged. */
  handle(request: NodeServerRequest, response: NodeServerResponse): Promise<void> | void;
}

/** A WebSocket route. It authenticates by itself, because a browser's WebSocket cannot send a header. */
export interface UpgradeHandler {
  readonly pathPrefix: string;
  /** Takes over the socket. Must answer or destroy it. */
  handle(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> | void;
}

/** The fields of each log line about a plain request: its id, and the address of the client. */
export function requestFields(request: Pick<NodeServerRequest, "headers" | "socket">): {
  readonly requestId: string;
  readonly peer: string;
} {
  const given = request.headers[REQUEST_ID_HEADER];
  const requestId = requestIdOf(typeof given === "string" ? given : undefined);
  return { requestId, peer: request.socket.remoteAddress ?? "" };
}

/** The path and query of a request; undefined if they cannot be parsed. */
export function requestUrl(request: { readonly url?: string | undefined }): URL | undefined {
  const target = request.url ?? "";
  // A target that starts with two slashes would name another host.
  if (!target.startsWith("/") || target.startsWith("//")) return undefined;
  return URL.parse(target, "http://localhost") ?? undefined;
}

/** A short answer in plain text. */
export function answerText(
  response: NodeServerResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, {
    "content-type": "text/plain; charset=utf-8",
    "x-content-type-options": "nosniff",
    ...headers,
  });
  response.end(`${text}\n`);
}

/** Refuses an upgrade, in the raw HTTP/1.1 that a socket without a response object needs. */
export function refuseUpgrade(socket: Duplex, status: number, reason: string): void {
  // A client that hung up needs no answer, and an unhandled error would end the process.
  socket.on("error", () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${reason}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`, () =>
    socket.destroy(),
  );
}
