import type { IncomingHttpHeaders } from "node:http";
import { request as httpRequest } from "node:http";
import { connect, constants } from "node:http2";
import type { DescMethod, DescMethodStreaming, DescMethodUnary } from "@bufbuild/protobuf";
import { create, createFileRegistry } from "@bufbuild/protobuf";
import { EmptySchema, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { Transport } from "@connectrpc/connect";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TRANSPORTS } from "../../test/transports.ts";
import { NodeService } from "../gen/n0stack/pool/v0/node_pb.ts";
import { silentLog } from "../util/log.ts";
import type { Listener } from "./listen.ts";
import { listen } from "./listen.ts";
import type { Protocol } from "./refuse.ts";
import { protocolOf } from "./refuse.ts";

type Headers = Readonly<Record<string, string>>;

let listener: Listener;
beforeAll(async () => {
  listener = await listen({
    host: "127.0.0.1",
    port: 0,
    log: silentLog,
    routes: ({ service }) => service(NodeService, { getNode: ({ name }) => ({ name }) }),
  });
});
afterAll(() => listener.stop(0));

const LIST_NODES = "/n0stack.pool.v0.NodeService/ListNodes";
const NO_METHOD = "/n0stack.pool.v0.NodeService/Explode";
const WATCH_NODES = "/n0stack.pool.v0.NodeService/WatchNodes";
const REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/** A service that a newer server may have: one call of each kind that works over HTTP/1.1 too. */
function newerService(packageName: string, name: string) {
  const type = `.${EmptySchema.typeName}`;
  const empty = { inputType: type, outputType: type };
  const file = create(FileDescriptorProtoSchema, {
    name: "newer.proto",
    package: packageName,
    dependency: ["google/protobuf/empty.proto"],
    service: [
      {
        name,
        method: [
          { name: "Explode", ...empty },
          { name: "Shine", ...empty, serverStreaming: true },
        ],
      },
    ],
  });
  const service = createFileRegistry(file, () => EmptySchema.file).getService(
    `${packageName}.${name}`,
  );
  if (service === undefined) throw new Error("the registry has not taken the file");
  return service;
}

/** Calls each of its methods, and tells how they are refused. */
async function refusals(
  { methods }: ReturnType<typeof newerService>,
  transport: Transport,
  headers: Headers = {},
): Promise<unknown[]> {
  const refusalOf = async (method: DescMethod): Promise<unknown> => {
    try {
      if (isUnary(method)) {
        await transport.unary(method, undefined, undefined, headers, {});
      } else if (isStream(method)) {
        const messages = (async function* () {
          yield create(method.input);
        })();
        const { message } = await transport.stream(method, undefined, undefined, headers, messages);
        for await (const _ of message) break;
      }
    } catch (error) {
      return error;
    }
    throw new Error(`${method.name} was answered`);
  };
  return [await refusalOf(only(methods, "Explode")), await refusalOf(only(methods, "Shine"))];
}

const isUnary = (m: DescMethod): m is DescMethodUnary => m.methodKind === "unary";
const isStream = (m: DescMethod): m is DescMethodStreaming => m.methodKind !== "unary";

function only(methods: readonly DescMethod[], name: string): DescMethod {
  const method = methods.find((m) => m.name === name);
  if (method === undefined) throw new Error(`there is no method ${name}`);
  return method;
}

describe.each(TRANSPORTS)("a client of %s is told", (_, makeTransport) => {
  test("that a service is not served", async () => {
    const service = newerService("newer.v1", "NewService");
    for (const error of await refusals(service, makeTransport(listener.url))) {
      expect(error).toMatchObject({
        code: Code.Unimplemented,
        rawMessage: expect.stringContaining("service newer.v1.NewService is not served here"),
      });
    }
  });

  test("that a service has no such method", async () => {
    const service = newerService("n0stack.pool.v0", "NodeService");
    const [unary, stream] = await refusals(service, makeTransport(listener.url));
    expect(unary).toMatchObject({
      code: Code.Unimplemented,
      rawMessage: expect.stringContaining("NodeService has no method Explode"),
    });
    expect(stream).toMatchObject({
      code: Code.Unimplemented,
      rawMessage: expect.stringContaining("NodeService has no method Shine"),
    });
  });

  test("that its page may not call", async () => {
    const service = newerService("newer.v1", "NewService");
    const headers = { origin: "https://evil.example" };
    for (const error of await refusals(service, makeTransport(listener.url), headers)) {
      expect(error).toMatchObject({
        code: Code.PermissionDenied,
        rawMessage: 'origin "https://evil.example" is not allowed (cors-origins)',
      });
    }
  });
});

// Over HTTP/2 the name is in a header that these transports do not set: see the raw requests below.
test.each(TRANSPORTS.filter(([name]) => !name.includes("http2")))(
  "a client of %s is told that the name it asks for is not the server's",
  async (_, makeTransport) => {
    const service = newerService("newer.v1", "NewService");
    const headers = { host: "evil.example" };
    for (const error of await refusals(service, makeTransport(listener.url), headers)) {
      expect(error).toMatchObject({
        code: Code.FailedPrecondition,
        rawMessage: expect.stringContaining("this server asks for no token"),
      });
    }
  },
);

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Whether the headers were the end: what gRPC calls trailers-only. */
  readonly isTrailersOnly?: boolean;
}

function overHttp2(path: string, headers: Headers): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const session = connect(listener.url).on("error", reject);
    const stream = session.request({ ":method": "POST", ":path": path, ...headers });
    let answer: Answer;
    stream.on("error", reject).on("response", (got, flags) => {
      const isTrailersOnly = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      answer = { status: got[":status"], headers: got, body: "", isTrailersOnly };
    });
    const chunks: Buffer[] = [];
    stream
      .on("data", (chunk: Buffer) => chunks.push(chunk))
      .on("end", () => {
        session.destroy();
        resolve({ ...answer, body: Buffer.concat(chunks).toString("latin1") });
      });
    // Without an end: a client that streams is answered too.
    if (headers[":method"] !== "GET") stream.write(Buffer.alloc(5));
  });
}

function overHttp1(method: string, path: string, headers: Headers): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { port } = listener;
    const request = httpRequest({ port, path, method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response
        .on("data", (chunk: Buffer) => chunks.push(chunk))
        .on("end", () => {
          const { statusCode: status, headers: got } = response;
          resolve({ status, headers: got, body: Buffer.concat(chunks).toString("latin1") });
        });
    });
    request.on("error", reject).end();
  });
}

const GRPC = { "content-type": "application/grpc", te: "trailers" };

describe("gRPC", () => {
  test.each([
    ["an unknown method", NO_METHOD, {}, Code.Unimplemented],
    ["an unknown service", "/a.B/C", {}, Code.Unimplemented],
    ["a path that is none", "/", {}, Code.Unimplemented],
    ["a path with text in it", "/a.B/%0d%0ax", {}, Code.Unimplemented],
    [
      "a message of an unknown encoding",
      LIST_NODES,
      { "content-type": "application/grpc+thrift" },
      Code.Unimplemented,
    ],
    ["a GET", LIST_NODES, { ":method": "GET" }, Code.Unimplemented],
    ["another host", LIST_NODES, { ":authority": "evil.example" }, Code.FailedPrecondition],
    ["a page", LIST_NODES, { origin: "https://evil.example" }, Code.PermissionDenied],
  ])("%s: HTTP 200, and the status ends the stream", async (_, path, headers, code) => {
    const answer = await overHttp2(path, { ...GRPC, ...headers });
    expect(answer).toMatchObject({
      status: 200,
      isTrailersOnly: true,
      body: "",
      headers: {
        "content-type": "application/grpc",
        "grpc-status": String(code),
        "grpc-message": expect.stringMatching(/^[\x20-\x7e]{10,}$/),
      },
    });
  });

  test("an encoding that is spoken is kept", async () => {
    const json = { ...GRPC, "content-type": "application/grpc+json" };
    const { headers } = await overHttp2(NO_METHOD, json);
    expect(headers["content-type"]).toBe("application/grpc+json");
  });

  test("a path of any length is answered shortly", async () => {
    const { headers } = await overHttp2(`/${"a".repeat(5000)}/${"b".repeat(5000)}`, GRPC);
    expect(headers["grpc-message"]?.length).toBeLessThan(200);
  });
});

test.each([
  ["application/grpc-web", "application/grpc-web"],
  ["application/grpc-web+proto", "application/grpc-web+proto"],
  ["application/grpc-web+thrift", "application/grpc-web"],
])("gRPC-web, %s: the status is in the headers", async (contentType, answered) => {
  for (const path of [NO_METHOD, "/a.B/C"]) {
    const answer = await overHttp1("POST", path, { "content-type": contentType });
    expect(answer).toMatchObject({
      status: 200,
      body: "",
      headers: { "content-type": answered, "grpc-status": "12" },
    });
  }
});

test("gRPC-web in base64 is refused by name", async () => {
  const { headers } = await overHttp1("POST", LIST_NODES, {
    "content-type": "application/grpc-web-text",
  });
  expect(headers["grpc-status"]).toBe("12");
  expect(decodeURIComponent(String(headers["grpc-message"]))).toContain(
    'no message of content-type "application/grpc-web-text"',
  );
});

describe("Connect", () => {
  test.each([
    ["POST", NO_METHOD, { "content-type": "application/proto" }, 404],
    ["POST", WATCH_NODES, { "content-type": "application/json" }, 415],
    ["GET", `${NO_METHOD}?connect=v1&encoding=json&message=%7B%7D`, {}, 404],
    ["PUT", LIST_NODES, { "connect-protocol-version": "1" }, 405],
  ])(
    "%s %s: the status of HTTP, and an error of Connect",
    async (method, path, headers, status) => {
      const answer = await overHttp1(method, path, headers);
      expect([answer.status, answer.headers["content-type"]]).toEqual([status, "application/json"]);
      expect(JSON.parse(answer.body)).toEqual({
        code: "unimplemented",
        message: expect.stringMatching(/NodeService|ListNodes|WatchNodes/),
      });
    },
  );

  test("a stream ends with the error, over HTTP/1.1 together with its connection", async () => {
    const headers = { "content-type": "application/connect+json" };
    const answer = await overHttp1("POST", REFLECTION, headers);
    expect(answer).toMatchObject({
      status: 200,
      headers: { connection: "close", "content-type": "application/connect+json" },
    });
    expect(answer.body.charCodeAt(0)).toBe(2);
    expect(JSON.parse(answer.body.slice(5))).toEqual({
      error: {
        code: "unimplemented",
        message: "ServerReflectionInfo streams in both directions, which needs HTTP/2",
      },
    });
  });
});

test.each([
  ["GET", "/", {}, 404],
  ["GET", NO_METHOD, {}, 404],
  ["PUT", LIST_NODES, {}, 405],
  ["POST", LIST_NODES, { "content-type": "text/plain" }, 415],
  ["POST", LIST_NODES, {}, 415],
  ["GET", LIST_NODES, { host: "evil.example" }, 421],
  ["GET", LIST_NODES, { origin: "https://evil.example" }, 403],
])("plain HTTP, %s %s %j: %i and a sentence", async (method, path, headers, status) => {
  const answer = await overHttp1(method, path, headers);
  expect([answer.status, answer.headers["content-type"]]).toEqual([
    status,
    "text/plain; charset=utf-8",
  ]);
  expect(answer.body).toMatch(/^[\x20-\x7e]{10,}\n$/);
});

test.each<[string, Headers, Protocol]>([
  ["POST", { "content-type": "application/grpc" }, "grpc"],
  ["POST", { "content-type": "application/grpc+proto" }, "grpc"],
  ["POST", { "content-type": "Application/gRPC;charset=utf-8" }, "grpc"],
  ["POST", { "content-type": "application/grpc-web-text+proto" }, "grpc-web"],
  ["POST", { "content-type": "application/grpcish" }, "http"],
  ["POST", { "content-type": "application/grpc-other" }, "http"],
  ["POST", { "content-type": "application/connect+proto" }, "connect-stream"],
  ["POST", { "content-type": "application/json; charset=utf-8" }, "connect"],
  ["GET", { "content-type": "application/json" }, "http"],
  ["GET", {}, "http"],
])("%s %j is %s", (method, headers, protocol) => {
  expect(protocolOf({ method, headers, url: "/a.B/C" })).toBe(protocol);
});
