import { readFileSync } from "node:fs";
import { Agent } from "node:http";
import { connect as connectSocket } from "node:net";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterEach, describe, expect, test } from "vitest";
import { selfSigned } from "../../test/self-signed.ts";
import { TRANSPORTS } from "../../test/transports.ts";
import { Health } from "../gen/grpc/health/v1/health_pb.ts";
import { NodeService } from "../gen/n0stack/pool/v0/node_pb.ts";
import { ConsoleService } from "../gen/n0stack/provisioning/v1alpha1/console_pb.ts";
import { silentLog } from "../util/log.ts";
import { originRule } from "./cors.ts";
import { answerText } from "./http.ts";
import type { Listener, ListenOptions } from "./listen.ts";
import { listen } from "./listen.ts";
import { openTransport } from "./transport.ts";

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Handlers that tests hold back. */
function gate() {
  const entered = Promise.withResolvers<void>();
  const leave = Promise.withResolvers<void>();
  return { entered, leave };
}

async function serve(options: Partial<ListenOptions> = {}, held = gate()): Promise<Listener> {
  const listener = await listen({
    host: "127.0.0.1",
    port: 0,
    log: silentLog,
    routes: ({ service }) => {
      service(NodeService, {
        getNode: ({ name }) => ({ name }),
        listNodes: async () => {
          held.entered.resolve();
          await held.leave.promise;
          return { nodes: [{ name: "n1" }] };
        },
        async *watchNodes(_, { signal }) {
          yield { synced: true };
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
        },
      });
      service(ConsoleService, {
        async *attachSerial(requests) {
          for await (const { data } of requests) yield { data };
        },
      });
    },
    ...options,
  });
  closers.push(() => listener.stop(0));
  return listener;
}

describe.each(TRANSPORTS)("%s", (_, makeTransport) => {
  test("a call and a refusal, without TLS", async () => {
    const client = createClient(NodeService, makeTransport((await serve()).url));
    expect((await client.getNode({ name: "n1" })).name).toBe("n1");
    await expect(client.getNode({ name: "a/b" })).rejects.toThrow(
      '[invalid_argument] name: must be 1 to 63 letters, digits, ".", "_" or "-"',
    );
  });

  test("with TLS and a token", async () => {
    const tls = selfSigned();
    const listener = await serve({ tls, token: "a-token-of-16-characters" });
    const transport = makeTransport(listener.url, { ca: tls.cert });
    const client = createClient(NodeService, transport);
    await expect(client.getNode({ name: "n1" })).rejects.toMatchObject({
      code: Code.Unauthenticated,
    });
    const headers = { authorization: "Bearer a-token-of-16-characters" };
    expect((await client.getNode({ name: "n1" }, { headers })).name).toBe("n1");
    const wrong = { authorization: "Bearer a-token-of-16-characterz" };
    await expect(client.getNode({ name: "n1" }, { headers: wrong })).rejects.toMatchObject({
      code: Code.Unauthenticated,
    });
    expect((await createClient(Health, transport).check({})).status).toBe(1);
  });
});

test("our own transport carries a bidirectional stream, with TLS and the token", async () => {
  const tls = selfSigned();
  const token = { value: "a-token-of-16-characters", ownerUid: 0 };
  const { port } = await serve({ tls, token: token.value });
  const transport = openTransport(`https://localhost:${port}`, 1, { token, ca: tls.cert });
  closers.push(() => transport.close());
  const answers: number[] = [];
  async function* requests() {
    yield { data: Uint8Array.of(1) };
    yield { data: Uint8Array.of(2) };
  }
  for await (const { data } of createClient(ConsoleService, transport).attachSerial(requests())) {
    answers.push(...data);
  }
  expect(answers).toEqual([1, 2]);
});

describe("plain HTTP", () => {
  const handler = {
    pathPrefix: "/hello/",
    handle: (_: unknown, response: Parameters<typeof answerText>[0]) =>
      answerText(response, 200, "hi"),
  };

  test("routes come before the RPCs; the token is asked for unless the route has its own", async () => {
    const token = "a-token-of-16-characters";
    const httpHandlers = [
      handler,
      { ...handler, pathPrefix: "/own/", authentication: "own" as const },
    ];
    const { url } = await serve({ token, httpHandlers });
    expect((await fetch(`${url}/hello/x`)).status).toBe(401);
    expect((await fetch(`${url}/own/x`)).status).toBe(200);
    const headers = { authorization: `Bearer ${token}` };
    expect(await (await fetch(`${url}/hello/x`, { headers })).text()).toBe("hi\n");
    expect((await fetch(`${url}/nowhere`)).status).toBe(404);
  });

  test("a handler that throws answers 500 and nothing else", async () => {
    const failing = {
      pathPrefix: "/x",
      handle: () => Promise.reject(new Error("secret")),
    };
    const { url } = await serve({ httpHandlers: [failing] });
    const response = await fetch(`${url}/x`);
    expect([response.status, await response.text()]).toEqual([500, "internal error\n"]);
  });

  test("an upgrade that nobody serves is refused", async () => {
    const { url } = await serve();
    const socket = new WebSocket(url.replace("http", "ws"));
    await new Promise((resolve) => socket.addEventListener("error", resolve));
    expect(socket.readyState).toBe(WebSocket.CLOSED);
  });
});

describe("browsers", () => {
  const path = "/n0stack.pool.v0.NodeService/GetNode";
  const preflight = (url: string, origin: string) =>
    fetch(url + path, {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST" },
    });

  test("an allowed page's preflight names what it may send", async () => {
    const allowed = ["https://cloud.example", "http://localhost:5173/"];
    const { url } = await serve({ isOriginAllowed: originRule(allowed) });
    for (const origin of ["https://cloud.example", "http://localhost:5173"]) {
      const response = await preflight(url, origin);
      expect(response.status).toBe(204);
      expect(response.headers.get("access-control-allow-origin")).toBe(origin);
      const headers = response.headers.get("access-control-allow-headers")?.toLowerCase();
      for (const name of [
        "content-type",
        "authorization",
        "connect-protocol-version",
        "n0-project",
      ]) {
        expect(headers).toContain(name);
      }
    }
  });

  test("another page is refused, and its call never reaches a handler", async () => {
    const { url } = await serve({ isOriginAllowed: originRule(["http://localhost:5173"]) });
    for (const origin of ["https://evil.example", "http://localhost:9999", "null"]) {
      expect((await preflight(url, origin)).status).toBe(403);
      const response = await fetch(url + path, {
        method: "POST",
        headers: { origin, "content-type": "application/json" },
        body: '{"name":"n1"}',
      });
      expect(response.status).toBe(403);
      expect(response.headers.get("access-control-allow-origin")).toBeNull();
    }
  });

  test("an allowed page's call is answered with what it may read", async () => {
    const { url } = await serve({ isOriginAllowed: originRule(["*"]) });
    const response = await fetch(url + path, {
      method: "POST",
      headers: { origin: "https://any.example", "content-type": "application/json" },
      body: '{"name":"n1"}',
    });
    expect(await response.json()).toEqual({ name: "n1" });
    expect(response.headers.get("access-control-allow-origin")).toBe("https://any.example");
    const exposed = response.headers.get("access-control-expose-headers");
    expect(exposed).toContain("n0-transaction-id");
    expect(exposed).toContain("n0-version");
  });
});

test("every answer tells the version", async () => {
  const { url } = await serve({ version: "1.2.3" });
  const paths = ["/nowhere", "/n0stack.pool.v0.NodeService/GetNode"];
  for (const path of paths) {
    expect((await fetch(url + path)).headers.get("n0-version")).toBe("1.2.3");
  }
  for (const [, makeTransport] of TRANSPORTS) {
    let version: string | null = null;
    const onHeader = (headers: Headers) => {
      version = headers.get("n0-version");
    };
    await createClient(NodeService, makeTransport(url)).getNode({ name: "n1" }, { onHeader });
    expect(version).toBe("1.2.3");
  }
});

/** Sends `bytes` and nothing more; resolves with what came until the server closed. */
function sendRaw(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectSocket(port, "127.0.0.1", () => socket.write(bytes));
    let got = "";
    socket.on("data", (data) => {
      got += data.toString("latin1");
    });
    socket.on("close", () => resolve(got));
    socket.on("error", reject);
  });
}

describe("slow and broken clients are cut", () => {
  test("one that sends two bytes", async () => {
    const { port } = await serve({ headersTimeoutMs: 200 });
    expect(await sendRaw(port, "PO")).toBe("");
  });

  test("one that never ends its headers", async () => {
    const { port } = await serve({ headersTimeoutMs: 200 });
    expect(await sendRaw(port, "GET / HTTP/1.1\r\nHost: localhost\r\n")).toContain(
      "408 Request Timeout",
    );
  });

  test("one that speaks no HTTP", async () => {
    const { port } = await serve();
    expect(await sendRaw(port, "SSH-2.0-OpenSSH\r\n\r\n")).toContain("400 Bad Request");
  });

  test("one byte at a time is fine", async () => {
    const { port } = await serve();
    const text = "GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    const got = await new Promise<string>((resolve) => {
      let all = "";
      const socket = connectSocket({ port, host: "127.0.0.1", noDelay: true });
      socket.on("data", (data) => {
        all += data.toString();
      });
      socket.on("close", () => resolve(all));
      const step = (i: number) => {
        if (i < text.length) socket.write(text.charAt(i), () => setImmediate(step, i + 1));
      };
      step(0);
    });
    expect(got).toContain("404 Not Found");
  });
});

describe("stop", () => {
  test.each(TRANSPORTS)("waits for a running call (%s)", async (_, makeTransport) => {
    const held = gate();
    const listener = await serve({}, held);
    const client = createClient(NodeService, makeTransport(listener.url));
    const answer = client.listNodes({});
    await held.entered.promise;
    const stopped = listener.stop(10_000);
    await expect(fetch(listener.url)).rejects.toThrow();
    held.leave.resolve();
    expect((await answer).nodes).toHaveLength(1);
    await stopped;
  });

  test("cuts what does not end in time", async () => {
    const held = gate();
    const listener = await serve({}, held);
    const transport = openTransport(listener.url, 1);
    closers.push(() => transport.close());
    const answer = createClient(NodeService, transport).listNodes({});
    const outcome = expect(answer).rejects.toThrow(ConnectError);
    await held.entered.promise;
    await listener.stop(50);
    await outcome;
    held.leave.resolve();
  });

  test("ends endless streams at once, with a reason", async () => {
    const listener = await serve();
    const transport = openTransport(listener.url, 1);
    closers.push(() => transport.close());
    const reading = (async () => {
      for await (const _ of createClient(NodeService, transport).watchNodes({})) {
        void listener.stop(10_000);
      }
    })();
    await expect(reading).rejects.toThrow("[unavailable] the server is stopping; try again");
  });

  test("lets idle connections go", async () => {
    const listener = await serve();
    const agent = new Agent({ keepAlive: true });
    closers.push(() => agent.destroy());
    const transport = createConnectTransport({
      baseUrl: listener.url,
      httpVersion: "1.1",
      nodeOptions: { agent },
    });
    await createClient(NodeService, transport).getNode({ name: "n1" });
    const startMs = performance.now();
    await listener.stop(10_000);
    expect(performance.now() - startMs).toBeLessThan(2000);
  });
});

test("the kernel holds six hundred connections of clients that come at once", async () => {
  const { hostname, port } = new URL((await serve()).url);
  const sockets = Array.from({ length: 600 }, () => connectSocket(Number(port), hostname));
  closers.push(() => sockets.forEach((socket) => void socket.destroy()));
  // Now all have begun, and this process has taken none.
  await new Promise<void>((resolve) => process.nextTick(resolve));
  // proc_net_tcp: the columns are number, local address, remote address and state, in hexadecimal.
  const ESTABLISHED = "01";
  const remotePort = Number(port).toString(16).toUpperCase().padStart(4, "0");
  const held = () =>
    readFileSync("/proc/net/tcp", "utf8")
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , remote, state]) => remote?.endsWith(`:${remotePort}`) && state === ESTABLISHED)
      .length;
  // A busy kernel takes a moment. It tries again those that it has dropped after 1000 ms (RFC 6298).
  const endMs = performance.now() + 700;
  while (held() < 600 && performance.now() < endMs);
  expect(held()).toBe(600);
});

test("an address in use is said so", async () => {
  const { port } = await serve();
  await expect(serve({ port })).rejects.toThrow(`cannot listen on 127.0.0.1:${port}`);
});
