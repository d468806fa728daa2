// What a request may be, and what is read of it before it is known who asks.
import { constants } from "node:http2";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, createClient } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import {
  ATTACH,
  CHECK,
  envelope,
  GET_NODE,
  rawHttp2,
  sendRaw,
  serveDoor,
  TOKEN,
  WATCH_NODES,
} from "../../../test/door-server.ts";
import { TRANSPORTS } from "../../../test/transports.ts";
import { Health, HealthCheckRequestSchema } from "../../gen/grpc/health/v1/health_pb.ts";
import { SurveyAgentService } from "../../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import { NodeService } from "../../gen/n0stack/pool/v0/node_pb.ts";
import { ConsoleService } from "../../gen/n0stack/provisioning/v1alpha1/console_pb.ts";
import { TaskService } from "../../gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { messageBytesMax } from "./bounds.ts";

const KIB = 1024;
/** A message for `fields` varints of a field that no message has. */
const unknownFields = (fields: number) => Buffer.alloc(3 * fields, Buffer.from([0xf8, 0x3f, 0]));
/** A text that is cut off. */
const MALFORMED = Buffer.from([0x0a, 0xff]);

describe.each(TRANSPORTS)("%s", (_, makeTransport) => {
  test("a call takes what its messages need, and no more", async () => {
    const { url } = await serveDoor({ token: TOKEN });
    const headers = { authorization: `Bearer ${TOKEN}` };
    const health = createClient(Health, makeTransport(url));
    // It comes in, and then breaks the rule of its field.
    await expect(health.check({ service: "a".repeat(3 * KIB) })).rejects.toMatchObject({
      code: Code.InvalidArgument,
    });
    const nodes = createClient(NodeService, makeTransport(url));
    const isGet = _ === "connect json";
    // What does not fit in the headers of a GET never comes to the door.
    if (isGet) return;
    await expect(nodes.getNode({ name: "a".repeat(300 * KIB) })).rejects.toMatchObject({
      code: Code.Unauthenticated,
    });
    await expect(health.check({ service: "a".repeat(5 * KIB) })).rejects.toMatchObject({
      code: Code.ResourceExhausted,
    });
    await expect(nodes.getNode({ name: "a".repeat(200 * KIB) }, { headers })).rejects.toMatchObject(
      { code: Code.InvalidArgument },
    );
    await expect(nodes.getNode({ name: "a".repeat(300 * KIB) }, { headers })).rejects.toMatchObject(
      { code: Code.ResourceExhausted },
    );
  });
});

test("each method has a bound of its own", () => {
  expect(messageBytesMax(Health.method.watch, "client")).toBe(4 * KIB);
  expect(messageBytesMax(Health.method.check, "api")).toBe(4 * KIB);
  expect(messageBytesMax(NodeService.method.applyNode, "client")).toBe(256 * KIB);
  expect(messageBytesMax(TaskService.method.runTasks, "client")).toBe(8 * 1024 * KIB);
  expect(messageBytesMax(ConsoleService.method.attachSerial, "client")).toBe(2048 * KIB);
  expect(messageBytesMax(ConsoleService.method.readSerialLog, "client")).toBe(256 * KIB);
  expect(messageBytesMax(SurveyAgentService.method.survey, "api")).toBe(16 * 1024 * KIB);
});

/** How a message is sent with one request, in every protocol. */
const PROTOCOLS = [
  ["connect", "application/proto", (bytes: Uint8Array) => bytes, "content-encoding"],
  ["grpc", "application/grpc", envelope, "grpc-encoding"],
  ["grpc-web", "application/grpc-web", envelope, "grpc-encoding"],
] as const;
const CODE = {
  invalid: { connect: '"invalid_argument"', status: "3" },
  exhausted: { connect: '"resource_exhausted"', status: "8" },
};

describe.each(PROTOCOLS)("%s", (protocol, contentType, framed, encoding) => {
  const flagged = (bytes: Uint8Array) => (protocol === "connect" ? bytes : envelope(bytes, 1));
  const sent = async (path: string, bytes: Uint8Array, headers = {}) => {
    const { url, lines } = await serveDoor();
    const stream = rawHttp2(url).post(path, contentType, headers);
    stream.end(bytes);
    const { headers: got, trailers, body } = await stream.answer;
    const status = got["grpc-status"] ?? trailers["grpc-status"];
    return { got, told: `${String(status)} ${body.toString()}`, lines };
  };
  const saying = ({ connect, status }: { connect: string; status: string }) =>
    expect.stringMatching(protocol === "connect" ? connect : new RegExp(`^${status} |:${status}`));

  test("a message that is none is the client's fault, and logged at info", async () => {
    const { told, got, lines } = await sent(GET_NODE, framed(MALFORMED));
    expect(told).toEqual(saying(CODE.invalid));
    expect(got[":status"]).toBe(protocol === "connect" ? 400 : 200);
    expect(lines).toMatchObject([{ level: "info", why: "request", code: "InvalidArgument" }]);
  });

  test("what is said to be gzip and is not, or is cut off, is the client's fault", async () => {
    const cutOff = gzipSync(Buffer.alloc(1000)).subarray(0, 15);
    for (const bytes of [MALFORMED, cutOff]) {
      const { told, lines } = await sent(GET_NODE, flagged(bytes), { [encoding]: "gzip" });
      expect(told).toEqual(saying(CODE.invalid));
      expect(lines).toMatchObject([
        { level: "info", refusal: "the request is said to be gzip, but is not" },
      ]);
    }
  });

  test("a gzip bomb is inflated no further than the message may be", async () => {
    const bomb = gzipSync(unknownFields(1_000_000));
    expect(bomb.length).toBeLessThan(4 * KIB);
    const { told, lines } = await sent(CHECK, flagged(bomb), { [encoding]: "gzip" });
    expect(told).toEqual(saying(CODE.exhausted));
    expect(lines).toMatchObject([
      { refusal: expect.stringContaining("inflates to more than the 4096") },
    ]);
  });

  test("brotli, which takes 16 MiB to inflate anything, is not spoken", async () => {
    const { lines } = await sent(CHECK, flagged(MALFORMED), { [encoding]: "br" });
    expect(lines).toMatchObject([
      { code: "Unimplemented", refusal: 'unknown compression "br": supported encodings are gzip' },
    ]);
  });
});

describe.each([
  ["connect", "application/connect+proto"],
  ["connect json", "application/connect+json"],
  ["grpc", "application/grpc"],
  ["grpc-web", "application/grpc-web"],
])("a stream of %s", (_, contentType) => {
  test.each([WATCH_NODES, ATTACH])("%s: a message that is none is the client's", async (path) => {
    const { url, lines } = await serveDoor();
    const stream = rawHttp2(url).post(path, contentType);
    stream.end(envelope(MALFORMED));
    const { headers, trailers, body } = await stream.answer;
    const told = `${String(headers["grpc-status"] ?? trailers["grpc-status"])} ${body.toString()}`;
    expect(told).toMatch(/^3 |grpc-status: ?3|"invalid_argument"/);
    expect(lines).toMatchObject([{ message: "rpc", level: "info", code: "invalid_argument" }]);
  });
});

test("unknown fields are not kept", async () => {
  let got: unknown = "nothing";
  const { url } = await serveDoor({
    routes: ({ service }) =>
      service(NodeService, {
        getNode: ({ $unknown, name }) => {
          got = $unknown;
          return { name };
        },
      }),
  });
  const stream = rawHttp2(url).post(GET_NODE, "application/proto");
  stream.end(Buffer.concat([Buffer.from([0x0a, 1, 97]), unknownFields(2)]));
  expect((await stream.answer).headers[":status"]).toBe(200);
  expect(got).toBeUndefined();
});

describe("without the token", () => {
  test.each([
    ["connect", "application/proto"],
    ["connect stream", "application/connect+proto"],
    ["grpc", "application/grpc"],
    ["grpc-web", "application/grpc-web"],
  ])("nothing of a body is waited for, and its stream is ended (%s)", async (_, contentType) => {
    const { url } = await serveDoor({ token: TOKEN, receiveTimeoutMs: 150 });
    const { post, session } = rawHttp2(url);
    const path = contentType.includes("connect+") ? WATCH_NODES : GET_NODE;
    const stream = post(path, contentType, { authorization: "Bearer wrong" });
    stream.write(envelope(Buffer.alloc(10), 0, 100_000));
    const { headers } = await stream.answer;
    expect(headers["grpc-status"] ?? headers[":status"]).toSatisfy((told) =>
      ["16", 401, 200].includes(told as number),
    );
    expect(session.destroyed).toBe(false);
  });
});

describe("a request that does not arrive completely", () => {
  // Time enough for what does arrive, also for a busy machine.
  const receiveTimeoutMs = 500;

  test.each(PROTOCOLS)("is cut after its time (%s)", async (_, contentType) => {
    const { url, lines } = await serveDoor({ receiveTimeoutMs });
    for (const [path, first] of [
      [CHECK, ""],
      [GET_NODE, "\n"],
    ] as const) {
      const stream = rawHttp2(url).post(path, contentType);
      if (first !== "") stream.write(first);
      await stream.answer;
    }
    const late = { why: "request", code: "DeadlineExceeded" };
    expect(lines).toMatchObject([late, late]);
    expect(lines[0]?.["refusal"]).toBe("the request did not arrive completely within 0.5 s");
  });

  test("over HTTP/1 is answered too", async () => {
    const { port } = await serveDoor({ receiveTimeoutMs });
    const got = await sendRaw(
      port,
      `POST ${CHECK} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n` +
        "connection: close\r\ncontent-length: 10\r\n\r\n{",
    );
    expect(got).toMatch(/^HTTP\/1.1 504 [^]*"deadline_exceeded"/);
  });

  test("of a stream may be silent between two messages only", async () => {
    const { url, lines } = await serveDoor({ receiveTimeoutMs });
    const { post } = rawHttp2(url);
    const data = Buffer.from([0x0a, 1, 97]);
    const silent = post(ATTACH, "application/grpc");
    const slow = post(ATTACH, "application/grpc");
    const idle = post(ATTACH, "application/grpc");
    slow.write(envelope(data));
    slow.write(envelope(data).subarray(0, 4));
    idle.write(envelope(data));
    for (const { answer } of [silent, slow]) {
      expect(await answer).toMatchObject({ trailers: { "grpc-status": "4" } });
    }
    idle.end(envelope(data));
    expect(await idle.answer).toMatchObject({ trailers: { "grpc-status": "0" } });
    expect(lines.map(({ code }) => code)).toEqual(["deadline_exceeded", "deadline_exceeded", "ok"]);
  });
});

test.each([
  ["of 16 MiB", `content-length: ${16 << 20}\r\n\r\n`],
  ["without an end", `transfer-encoding: chunked\r\n\r\n2000\r\n${"a".repeat(0x2000)}\r\n`],
])("a body %s is refused before it has come", async (_, rest) => {
  const { port } = await serveDoor();
  const got = await sendRaw(
    port,
    `POST ${CHECK} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n` +
      `content-type: application/proto\r\n${rest}`,
  );
  expect(got).toMatch(/^HTTP\/1.1 429 [^]*larger than the 4096 bytes/);
});

test("a body in pieces of one byte is read", async () => {
  const { url } = await serveDoor();
  const stream = rawHttp2(url).post(CHECK, "application/grpc");
  const message = toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, {}));
  for (const byte of envelope(message)) stream.write(Buffer.from([byte]));
  stream.end();
  expect(await stream.answer).toMatchObject({ trailers: { "grpc-status": "0" } });
});

describe("a client that goes is no error of ours", () => {
  const worse = (lines: readonly Record<string, unknown>[]) =>
    lines.filter(({ level }) => level === "error" || level === "warn");

  test.each([
    ["CANCEL", constants.NGHTTP2_CANCEL],
    ["INTERNAL_ERROR", constants.NGHTTP2_INTERNAL_ERROR],
    ["PROTOCOL_ERROR", constants.NGHTTP2_PROTOCOL_ERROR],
    ["REFUSED_STREAM", constants.NGHTTP2_REFUSED_STREAM],
  ])("when it resets a stream with %s", async (_, code) => {
    const { url, lines } = await serveDoor();
    const watching = rawHttp2(url).post(WATCH_NODES, "application/grpc");
    watching.end(envelope(Buffer.alloc(0)));
    await watching.begun;
    watching.reset(code);
    await expect.poll(() => lines).toMatchObject([{ message: "rpc", code: "canceled" }]);
    // What the handler throws of it comes after the line.
    const { answer, end } = rawHttp2(url).post(GET_NODE, "application/grpc");
    end(envelope(Buffer.from([10, 1, 97])));
    await answer;
    expect(worse(lines)).toEqual([]);
  });

  test("when its connection breaks", async () => {
    const { url, port, lines } = await serveDoor();
    const { post, session } = rawHttp2(url);
    const unread = post(GET_NODE, "application/grpc");
    unread.write(envelope(MALFORMED).subarray(0, 3));
    const attached = post(ATTACH, "application/grpc");
    attached.write(envelope(Buffer.from([0x0a, 1, 97])));
    await attached.begun;
    session.destroy();
    const socket = connect(port, "127.0.0.1");
    const head = `POST ${GET_NODE} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n`;
    socket.write(`${head}content-length: 10\r\n\r\n{`, () => socket.resetAndDestroy());
    await expect.poll(() => lines).toMatchObject([{ message: "rpc", code: "canceled" }]);
    const { answer, end } = rawHttp2(url).post(GET_NODE, "application/grpc");
    end(envelope(Buffer.from([10, 1, 97])));
    await answer;
    expect(lines.map(({ message, code }) => [message, code])).toEqual([
      ["rpc", "canceled"],
      ["rpc", "ok"],
    ]);
  });
});

test("a stream that is cut off is not taken for one that ends", async () => {
  const ends: string[] = [];
  const { url } = await serveDoor({
    routes: ({ service }) =>
      service(ConsoleService, {
        async *attachSerial(requests) {
          try {
            for await (const { data } of requests) yield { data };
            ends.push("whole");
          } catch {
            ends.push("cut off");
          }
        },
      }),
  });
  const { post, session } = rawHttp2(url);
  const data = envelope(Buffer.from([0x0a, 1, 97]));
  const [whole, cutOff] = [post(ATTACH, "application/grpc"), post(ATTACH, "application/grpc")];
  whole.end(data);
  await whole.answer;
  cutOff.write(data);
  await cutOff.begun;
  session.destroy();
  await expect.poll(() => ends).toEqual(["whole", "cut off"]);
});

describe("a request without a host that there can be", () => {
  test.each([
    ["none", `POST ${CHECK} HTTP/1.0\r\n`],
    ["no host", `POST ${CHECK} HTTP/1.1\r\nhost: [\r\n`],
    ["blanks", `GET ${CHECK}?connect=v1&message=%7B%7D&encoding=json HTTP/1.1\r\nhost: a b\r\n`],
  ])("(%s) does not end the process", async (_, head) => {
    const { port, url } = await serveDoor({ token: TOKEN });
    const rest =
      "connection: close\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    expect(await sendRaw(port, head + rest)).toMatch(/^HTTP\/1.1 400 /);
    expect((await fetch(`${url}/nowhere`)).status).toBe(404);
  });
});
