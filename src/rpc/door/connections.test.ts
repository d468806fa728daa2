import { once } from "node:events";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import {
  CHECK,
  envelope,
  GET_NODE,
  onceDone,
  rawHttp2,
  sendRaw,
  serveDoor,
  WATCH_NODES,
} from "../../../test/door-server.ts";
import { selfSigned } from "../../../test/self-signed.ts";

const WATCH_HEALTH = "/grpc.health.v1.Health/Watch";
const EMPTY = envelope(Buffer.alloc(0));

/** A connection, and whether the server keeps it. */
async function open(
  port: number,
  localAddress: string,
): Promise<{ socket: Socket; kept: boolean }> {
  const socket = connect({ port, host: "127.0.0.1", localAddress });
  socket.on("error", () => {});
  onceDone(() => void socket.destroy());
  socket.write("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
  // Not `once` of node:events, which fails at a reset: a server that reads nothing before it closes sends one.
  const kept = await new Promise<boolean>((resolve) => {
    socket.once("data", () => resolve(true)).once("close", () => resolve(false));
  });
  return { socket, kept };
}

describe("connections", () => {
  test("one address has a quarter of them", async () => {
    const { port, lines } = await serveDoor({ connectionsMax: 8 });
    const first = await open(port, "127.0.0.1");
    expect([first.kept, (await open(port, "127.0.0.1")).kept]).toEqual([true, true]);
    expect((await open(port, "127.0.0.1")).kept).toBe(false);
    expect(lines).toMatchObject([
      { why: "connections", peer: "127.0.0.1", max: "2 of one address" },
    ]);
    expect((await open(port, "127.0.0.2")).kept).toBe(true);
    first.socket.destroy();
    await expect.poll(async () => (await open(port, "127.0.0.1")).kept).toBe(true);
  });

  test("all have no more than there may be", async () => {
    const { port, lines } = await serveDoor({ connectionsMax: 4 });
    for (const i of [1, 2, 3, 4]) expect((await open(port, `127.0.0.${i}`)).kept).toBe(true);
    expect((await open(port, "127.0.0.5")).kept).toBe(false);
    expect(lines).toMatchObject([{ why: "connections", peer: "127.0.0.5", max: "4" }]);
  });
});

test("connections of TLS are bounded as those without", async () => {
  const tls = selfSigned();
  const { port, url, lines } = await serveDoor({ tls, connectionsMax: 8 });
  const sessions = [rawHttp2(url, { ca: tls.cert }), rawHttp2(url, { ca: tls.cert })];
  await Promise.all(sessions.map(({ session }) => once(session, "remoteSettings")));
  expect((await open(port, "127.0.0.1")).kept).toBe(false);
  expect(lines).toMatchObject([{ why: "connections" }]);
});

describe("a connection of HTTP/2", () => {
  const secret = selfSigned();
  test.each([
    ["plain", {}, {}],
    ["TLS", { tls: secret }, { ca: secret.cert }],
  ])(
    "over %s without a call is closed after a while; one with a call is not",
    async (_, tls, ca) => {
      // Time enough for the call to begin, also for a busy machine.
      const { url } = await serveDoor({ ...tls, idleSessionMs: 1_000 });
      const idle = rawHttp2(url, ca);
      const closed = once(idle.session, "close");
      const busy = rawHttp2(url, ca);
      const watching = busy.post(WATCH_NODES, "application/grpc");
      watching.end(EMPTY);
      await watching.begun;
      const pinging = setInterval(() => idle.session.destroyed || idle.session.ping(() => {}), 20);
      await closed;
      clearInterval(pinging);
      expect(busy.session.closed).toBe(false);
    },
  );

  test("that never sends its settings is cut", async () => {
    const { port } = await serveDoor({ headersTimeoutMs: 150 });
    const startMs = performance.now();
    await sendRaw(port, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    // By default it takes 10 s.
    expect(performance.now() - startMs).toBeLessThan(9_000);
  });

  test("has fewer streams at once than it could hold up others with", async () => {
    const { url } = await serveDoor();
    const { session } = rawHttp2(url);
    await once(session, "remoteSettings");
    expect(session.remoteSettings.maxConcurrentStreams).toBe(1000);
  });
});

describe("before it is known who asks", () => {
  test("one connection has a few health watches, and is told so", async () => {
    const { url } = await serveDoor();
    const statuses: unknown[] = [];
    const watch = ({ post }: ReturnType<typeof rawHttp2>) => {
      const stream = post(WATCH_HEALTH, "application/grpc");
      stream.end(EMPTY);
      void stream.answer.then(({ headers }) => statuses.push(headers["grpc-status"]));
      return stream;
    };
    const crowded = rawHttp2(url);
    const watches = Array.from({ length: 9 }, () => watch(crowded));
    await expect.poll(() => statuses).toEqual(["8"]);
    await watch(rawHttp2(url)).begun;
    expect(statuses).toHaveLength(1);
    // One that ends makes room.
    watches[0]?.reset(8);
    await expect.poll(() => statuses).toHaveLength(2);
    const next = watch(crowded);
    await next.begun;
    const check = crowded.post(CHECK, "application/proto");
    check.end();
    await check.answer;
    expect(statuses).toHaveLength(2);
  });

  test("the bytes that one connection has the server hold are bounded", async () => {
    const { url, lines } = await serveDoor();
    const { post } = rawHttp2(url);
    const streams = Array.from({ length: 40 }, () => post(CHECK, "application/proto"));
    for (const stream of streams) stream.write(Buffer.alloc(4000));
    await expect
      .poll(() => lines.filter(({ code }) => code === "ResourceExhausted").length)
      .toBeGreaterThan(5);
    const known = post(GET_NODE, "application/proto");
    known.end(Buffer.from([0x0a, 1, 97]));
    expect((await known.answer).headers[":status"]).toBe(200);
    for (const stream of streams) stream.reset(8);
    const after = post(CHECK, "application/proto");
    // Fields that nobody knows.
    after.end(Buffer.alloc(3999, Buffer.from([0xf8, 0x3f, 0])));
    expect((await after.answer).headers[":status"]).toBe(200);
  });
});
