import type { ServerHttp2Session } from "node:http2";
import type { Server, Socket } from "node:net";
import type { NodeServerRequest } from "../http.ts";
import { IDLE_SESSION_MS } from "./bounds.ts";
import type { Refusals } from "./refusals.ts";
import { networkOf } from "./token-tries.ts";

export interface ConnectionBounds {
  /** At once. One address gets a quarter of them. */
  readonly connectionsMax: number;
  /** How long an HTTP/2 client may take for its settings, which come first. */
  readonly settingsTimeoutMs: number;
  /** Default 10 min. */
  readonly idleSessionMs?: number;
  readonly refusals: Refusals;
}

/** Drops new connections above the limits. */
export function boundConnections(
  server: Server,
  { connectionsMax, refusals }: ConnectionBounds,
): void {
  const perAddressMax = Math.ceil(connectionsMax / 4);
  const counts = new Map<string, number>();
  const drop = (peer: string, max: string) => refusals.note("connections", { peer, max });
  server.maxConnections = connectionsMax;
  server.on("drop", (data) => drop(data?.remoteAddress ?? "", `${connectionsMax}`));
  // Before the listener that serves it.
  server.prependListener("connection", (socket: Socket) => {
    const { remoteAddress = "" } = socket;
    const address = networkOf(remoteAddress);
    const count = (counts.get(address) ?? 0) + 1;
    counts.set(address, count);
    socket.once("close", () => {
      const left = (counts.get(address) ?? 1) - 1;
      if (left === 0) counts.delete(address);
      else counts.set(address, left);
    });
    if (count <= perAddressMax) return;
    drop(remoteAddress, `${perAddressMax} of one address`);
    socket.destroy();
  });
}

interface SessionEvents {
  on(event: "session", listener: (session: ServerHttp2Session) => void): unknown;
  on(event: "close", listener: () => void): unknown;
}

/**
 * Closes HTTP/2 connections without a call: after a while if the client never sends its settings, otherwise
 * after some minutes. Bytes that lead to no call do not count.
 */
export function boundSessions(
  sessions: SessionEvents,
  closing: Pick<SessionEvents, "on">,
  { idleSessionMs = IDLE_SESSION_MS, settingsTimeoutMs }: ConnectionBounds,
): void {
  const open = new Map<ServerHttp2Session, { streams: number; idleSinceMs: number }>();
  sessions.on("session", (session) => {
    const state = { streams: 0, idleSinceMs: performance.now() };
    open.set(session, state);
    const timer = setTimeout(() => session.destroy(), settingsTimeoutMs);
    session.once("remoteSettings", () => clearTimeout(timer));
    session.once("close", () => {
      clearTimeout(timer);
      open.delete(session);
    });
    session.on("stream", (stream) => {
      state.streams += 1;
      stream.once("close", () => {
        state.streams -= 1;
        state.idleSinceMs = performance.now();
      });
    });
  });
  const sweep = setInterval(() => {
    const beforeMs = performance.now() - idleSessionMs;
    for (const [session, { streams, idleSinceMs }] of open) {
      if (streams === 0 && idleSinceMs < beforeMs) session.close();
    }
  }, idleSessionMs / 10).unref();
  closing.on("close", () => clearInterval(sweep));
}

/** The object that stands for the connection of a request, for HTTP/1 and HTTP/2. */
export function connectionOf(request: NodeServerRequest): object {
  return ("stream" in request ? request.stream?.session : undefined) ?? request.socket;
}
