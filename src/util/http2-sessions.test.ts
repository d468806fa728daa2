import { once } from "node:events";
import { createServer, type ServerHttp2Session } from "node:http2";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import process from "node:process";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { Http2Sessions } from "./http2-sessions.ts";
import { until } from "./until.ts";

const PINGS = { pingIntervalMs: 60, pingTimeoutMs: 40, idleConnectionTimeoutMs: 60_000 };

/** A server whose calls never end, behind a cable that can be cut. */
async function newPeer() {
  const sessions = new Set<ServerHttp2Session>();
  const server = createServer((_, response) => response.stream.respond({ ":status": 200 }));
  server.on("session", (session) => sessions.add(session.on("error", () => {})));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const sockets: Socket[] = [];
  let isCut = false;
  const carry = (from: Socket, to: Socket) =>
    from.on("data", (bytes) => !isCut && to.write(bytes)).on("error", () => {});
  const cable = createTcpServer((near) => {
    const far = connect(port, "127.0.0.1");
    sockets.push(near, far);
    carry(near, far);
    carry(far, near);
  });
  cable.listen(0, "127.0.0.1");
  await once(cable, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
    cable.close();
  });
  const url = `http://127.0.0.1:${(cable.address() as AddressInfo).port}`;
  return { url, sockets, cut: () => void (isCut = true) };
}

/** Errors that would have ended the process. */
function uncaught(): unknown[] {
  const found: unknown[] = [];
  const before = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", (error) => found.push(error));
  onTestFinished(() => {
    process.removeAllListeners("uncaughtException");
    for (const listener of before) process.on("uncaughtException", listener);
  });
  return found;
}

/** Calls that try again at once, as long as they may. */
async function callAgainAndAgain(sessions: Http2Sessions, tries: { left: number }) {
  if (tries.left-- <= 0) return;
  const again = () => setImmediate(() => void callAgainAndAgain(sessions, tries));
  try {
    const stream = await sessions.request("POST", "/", {}, {});
    stream.on("error", again).end().resume();
  } catch {
    // The connection ended before it had the call.
    again();
  }
}

test("a peer that stops answering ends its calls, and not this process", async () => {
  const peer = await newPeer();
  const found = uncaught();
  const sessions = new Http2Sessions(peer.url, PINGS);
  onTestFinished(() => sessions.abort());
  const tries = { left: 8 };
  await callAgainAndAgain(sessions, tries);
  await callAgainAndAgain(sessions, tries);
  peer.cut();
  await until(async () => tries.left <= 0, { what: "all tries", timeoutMs: 20_000, everyMs: 10 });
  await nextTurn();
  expect(found).toEqual([]);
});

test("a session that was destroyed in this turn is not pinged", async () => {
  const peer = await newPeer();
  const sessions = new Http2Sessions(peer.url, PINGS);
  onTestFinished(() => sessions.abort());
  const stream = await sessions.request("POST", "/", {}, {});
  stream.on("error", () => {});
  const { session } = stream;
  session!.destroy(new Error("gone"));
  expect(session!.ping(() => {})).toBe(false);
});
