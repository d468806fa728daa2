import { request as httpRequest } from "node:http";
import { connect } from "node:http2";
import { Code } from "@connectrpc/connect";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { NodeService } from "../gen/n0stack/pool/v0/node_pb.ts";
import { silentLog } from "../util/log.ts";
import { hostRule } from "./host.ts";
import { answerText } from "./http.ts";
import type { Listener, ListenOptions } from "./listen.ts";
import { listen } from "./listen.ts";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

const GET_NODE = `/n0stack.pool.v0.NodeService/ListNodes?${String(
  new URLSearchParams({
    connect: "v1",
    encoding: "json",
    message: "{}",
  }),
)}`;

async function serve(options: Partial<ListenOptions> = {}): Promise<Listener> {
  const listener = await listen({
    host: "127.0.0.1",
    port: 0,
    log: silentLog,
    routes: ({ service }) => {
      service(NodeService, { listNodes: () => ({ nodes: [{ name: "secret" }] }) });
    },
    httpHandlers: [
      {
        pathPrefix: "/page",
        authentication: "own",
        handle: (_, response) => answerText(response, 200, "secret"),
      },
    ],
    upgradeHandlers: [
      {
        pathPrefix: "/socket",
        handle: (_, socket) => void socket.end("HTTP/1.1 403 Forbidden\r\n\r\n"),
      },
    ],
    ...options,
  });
  closers.push(() => listener.stop(0));
  return listener;
}

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
}

function get({ port }: Listener, path: string, host: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ port, path, headers: { host } }, (response) => {
      let body = "";
      response.on("data", (chunk) => {
        body += String(chunk);
      });
      response.on("end", () => resolve({ status: response.statusCode, body }));
    });
    request.on("error", reject).end();
  });
}

/** The gRPC status that comes in the headers; undefined where the call reached its handler. */
function grpcStatus(
  { url }: Listener,
  headers: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const session = connect(url).on("error", reject);
    const stream = session.request({
      ":method": "POST",
      ":path": "/n0stack.pool.v0.NodeService/ListNodes",
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    stream.on("error", reject).on("response", (answer) => {
      session.destroy();
      expect(answer[":status"]).toBe(200);
      resolve(answer["grpc-status"]?.toString());
    });
    stream.end(Buffer.alloc(5));
  });
}

function statusOfUpgrade({ port }: Listener, host: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/socket`, { headers: { host } });
    socket.on("error", () => {});
    socket.on("unexpected-response", (_, { statusCode }) => {
      socket.terminate();
      resolve(statusCode);
    });
  });
}

describe("without a token", () => {
  test("a page whose name was made to resolve here gets nothing", async () => {
    const listener = await serve();
    for (const path of [GET_NODE, "/page", "/nowhere"]) {
      const { status, body } = await get(listener, path, `evil.example:${listener.port}`);
      expect([status, body]).toEqual([421, expect.not.stringContaining("secret")]);
    }
    expect(await statusOfUpgrade(listener, "evil.example")).toBe(421);
    const refused = String(Code.FailedPrecondition);
    expect(await grpcStatus(listener, { ":authority": "evil.example" })).toBe(refused);
    const two = { ":authority": "localhost", host: "evil.example" };
    expect(await grpcStatus(listener, two)).toBe(refused);
  });

  test("its own names are answered", async () => {
    const listener = await serve({ publicHosts: () => ["cloud.example"] });
    for (const host of ["localhost", "LOCALHOST:1", "127.0.0.1:80", "[::1]:9", "cloud.example"]) {
      const { status, body } = await get(listener, GET_NODE, host);
      expect([status, body]).toEqual([200, expect.stringContaining("secret")]);
      expect((await get(listener, "/page", host)).status).toBe(200);
      expect(await statusOfUpgrade(listener, host)).toBe(403);
      expect(await grpcStatus(listener, { ":authority": host })).toBeUndefined();
    }
  });
});

test("with a token the name does not count", async () => {
  const listener = await serve({ token: "a-token-of-16-characters" });
  expect((await get(listener, GET_NODE, "any.example")).status).toBe(401);
  expect((await get(listener, "/page", "any.example")).status).toBe(200);
});

test.each([
  ["127.0.0.1", "127.0.0.1:20180", true],
  ["127.0.0.1", "10.0.0.1", false],
  ["127.0.0.1", "localhost.evil.example", false],
  ["127.0.0.1", "evil.example@localhost", false],
  ["127.0.0.1", "localhost:80:80", false],
  ["127.0.0.1", "localhost/", false],
  ["127.0.0.1", "", false],
  ["10.0.0.1", "10.0.0.1:20180", true],
  ["10.0.0.1", "10.0.0.2:20180", false],
  ["fd00::1", "[fd00:0::1]:20180", true],
  ["fd00::1", "[fd00::2]:20180", false],
  ["node.example", "Node.Example", true],
  ["0.0.0.0", "10.0.0.1:20180", true],
  ["::", "[fd00::2]", true],
  ["0.0.0.0", "evil.example", false],
])("bound to %s, asked for %j: %s", (bindAddress, host, expected) => {
  expect(hostRule(bindAddress, () => [])({ headers: { host } })).toBe(expected);
});

test("a request without any host is not answered", () => {
  expect(hostRule("127.0.0.1", () => [])({ headers: {} })).toBe(false);
});
