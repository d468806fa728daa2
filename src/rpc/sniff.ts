import type { Server as HttpServer } from "node:http";
import type { Http2Server } from "node:http2";
import type { Server, Socket } from "node:net";
import { createServer } from "node:net";

/** HTTP/2 starts with `PRI * HTTP/2.0`; no method of HTTP/1 starts with these three bytes. */
const PREFACE_HEAD = "PRI";
const KEEP_ALIVE_INITIAL_DELAY_MS = 30_000;

/**
 * A server that gives each connection to `http1` or `http2` by its first bytes, so that clients of both,
 * without TLS, share one port. Neither of the two listens by itself.
 *
 * @param firstBytesTimeoutMs The server ends a connection that sends less than three bytes in this time.
 */
export function sniffingServer(
  http1: HttpServer,
  http2: Http2Server,
  firstBytesTimeoutMs: number,
): Server {
  // The timer that ends slow clients starts only if the server believes that it listens.
  http1.emit("listening");
  return createServer(
    { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_INITIAL_DELAY_MS },
    (socket) => sniff(socket, http1, http2, firstBytesTimeoutMs),
  );
}

function sniff(
  socket: Socket,
  http1: HttpServer,
  http2: Http2Server,
  firstBytesTimeoutMs: number,
): void {
  const cut = () => socket.destroy();
  const timer = setTimeout(cut, firstBytesTimeoutMs);
  let head = Buffer.alloc(0);
  const onData = (data: Buffer) => {
    head = Buffer.concat([head, data]);
    if (head.length < PREFACE_HEAD.length) return;
    leave();
    socket.pause();
    socket.unshift(head);
    const isHttp2 = head.toString("latin1", 0, PREFACE_HEAD.length) === PREFACE_HEAD;
    (isHttp2 ? http2 : http1).emit("connection", socket);
    if (!isHttp2) socket.resume();
  };
  const leave = () => {
    clearTimeout(timer);
    socket.off("data", onData).off("error", cut).off("end", cut).off("close", leave);
  };
  socket.on("data", onData).on("error", cut).on("end", cut).on("close", leave);
}
