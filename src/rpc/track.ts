import type { Server as HttpServer } from "node:http";
import type { ServerHttp2Session } from "node:http2";
import type { Duplex } from "node:stream";
import { systemClock } from "../util/clock.ts";
import { within } from "../util/race.ts";
import type { NodeServerRequest, NodeServerResponse } from "./http.ts";

type RequestListener = (request: NodeServerRequest, response: NodeServerResponse) => void;

/** How long clients have to notice the end before their connections are destroyed. */
const LINGER_MS = 300;

interface Emitter<T> {
  on(event: string, listener: (subject: T) => void): unknown;
}

export interface ConnectionTracker {
  /** The servers whose connections it ends; `http1` if that does not listen by itself. */
  watch(servers: {
    readonly sockets: Emitter<Duplex>;
    readonly sessions: Emitter<ServerHttp2Session>;
    readonly http1: HttpServer | undefined;
  }): void;
  /** The same listener, which counts its running requests. */
  counted(listener: RequestListener): RequestListener;
  /** Ends idle connections, and waits until no request runs, for at most `graceMs`. */
  drain(graceMs: number): Promise<void>;
  /** Destroys every connection. */
  cut(): void;
}

/** Knows all connections of a server: `net.Server.close` ends none of them. */
export function trackConnections(): ConnectionTracker {
  const sockets = new Set<Duplex>();
  const sessions = new Set<ServerHttp2Session>();
  const answering = new Set<NodeServerResponse>();
  const gone = Promise.withResolvers<void>();
  const idle = Promise.withResolvers<void>();
  let http1: HttpServer | undefined;
  let draining = false;
  const ended = (response: NodeServerResponse) => {
    answering.delete(response);
    if (draining && answering.size === 0) idle.resolve();
  };
  return {
    watch: (servers) => {
      http1 = servers.http1;
      servers.sessions.on("session", (session) => {
        sessions.add(session);
        session.once("close", () => sessions.delete(session));
      });
      servers.sockets.on("connection", (socket) => {
        sockets.add(socket);
        socket.once("close", () => {
          sockets.delete(socket);
          if (draining && sockets.size === 0) gone.resolve();
        });
      });
    },
    counted: (listener) => (request, response) => {
      answering.add(response);
      response.once("close", () => ended(response));
      if (draining && request.httpVersionMajor === 1) response.setHeader("connection", "close");
      listener(request, response);
    },
    drain: async (graceMs) => {
      draining = true;
      // Its close also ends the timer for slow clients. It fails because the server never listened.
      http1?.close(() => {});
      for (const session of sessions) session.close();
      if (answering.size === 0) idle.resolve();
      await within(systemClock, idle.promise, graceMs, () => {});
      // To destroy a socket with unread data resets the connection, and the client loses what it has not
      // read yet. So end it first, and let the client end it too.
      for (const socket of sockets) socket.end();
      if (sockets.size === 0) gone.resolve();
      await within(systemClock, gone.promise, Math.min(graceMs, LINGER_MS), () => {});
    },
    cut: () => {
      for (const session of sessions) session.destroy();
      for (const socket of sockets) socket.destroy();
    },
  };
}
