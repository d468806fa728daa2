// Whatever is sent, in whatever protocol: the fault is the client's, and is told in words.
import { constants } from "node:http2";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import {
  ATTACH,
  CHECK,
  envelope,
  GET_NODE,
  rawHttp2,
  serveDoor,
  WATCH_NODES,
} from "../../../test/door-server.ts";
import { fc } from "../../../test/properties.ts";

const PATHS = [
  CHECK,
  GET_NODE,
  WATCH_NODES,
  ATTACH,
  "/grpc.health.v1.Health/Watch",
  "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
  "/n0stack.pool.v0.NodeService/ListNodes",
  "/nowhere",
];
const TYPES = [
  "application/grpc",
  "application/grpc+json",
  "application/grpc-web",
  "application/grpc-web-text",
  "application/json",
  "application/proto",
  "application/connect+proto",
  "application/connect+json",
  "text/plain",
];
const HEADERS = [
  "grpc-encoding",
  "content-encoding",
  "connect-content-encoding",
  "grpc-timeout",
  "connect-timeout-ms",
  "connect-protocol-version",
];

const body = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc
    .constantFrom("{}", '{"name":', "\n\u0001a", "", "a".repeat(5000), "[".repeat(3000))
    .map((text) => Buffer.from(text)),
);
const packed = fc.oneof(
  body,
  body.map((bytes) => gzipSync(bytes)),
);
const cutOff = fc
  .tuple(packed, fc.double({ min: 0, max: 1, noNaN: true }))
  .map(([bytes, part]) => bytes.subarray(0, Math.ceil(part * bytes.length)));
const framed = fc
  .tuple(fc.oneof(packed, cutOff), fc.nat(255), fc.oneof(fc.nat(300), fc.nat(2 ** 32 - 1)))
  .chain(([bytes, flags, length]) =>
    fc.constantFrom(
      bytes,
      envelope(bytes),
      envelope(bytes, 1),
      envelope(bytes, flags),
      envelope(bytes, 0, length),
      Buffer.concat([envelope(bytes), envelope(bytes)]),
    ),
  );
const request = fc.record({
  path: fc.constantFrom(...PATHS),
  type: fc.constantFrom(...TYPES),
  headers: fc.dictionary(
    fc.constantFrom(...HEADERS),
    fc.constantFrom("gzip", "identity", "br", "1", "10S", "-1", "99999999999999", "x"),
  ),
  bytes: framed,
});

const OUR_FAULT = /"code":"(?:internal|unknown)"|grpc-status: ?(?:2|13)\b/;

test("no request is a fault of ours", async () => {
  const { url, lines } = await serveDoor();
  const { post } = rawHttp2(url);
  for (let round = 0; round < 20; round++) {
    const requests = fc.sample(request, { numRuns: 20, seed: round });
    const answers = requests.map(async ({ path, type, headers, bytes }) => {
      const stream = post(path, type, headers);
      stream.end(bytes);
      // What is a call goes on until somebody ends it.
      const end = setTimeout(() => stream.reset(constants.NGHTTP2_CANCEL), 100);
      const { headers: got, trailers, body: answer } = await stream.answer;
      clearTimeout(end);
      const told = { ":status": got[":status"], ...trailers, ...got };
      expect([500, "2", "13"], JSON.stringify({ path, type, headers, told })).not.toContain(
        told["grpc-status" as keyof typeof told] ?? told[":status"],
      );
      expect(answer.toString("latin1")).not.toMatch(OUR_FAULT);
    });
    await Promise.all(answers);
  }
  expect(lines.filter(({ level }) => level === "error")).toEqual([]);
});
