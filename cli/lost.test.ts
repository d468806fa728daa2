import { once } from "node:events";
import type { Http2Server, ServerHttp2Session } from "node:http2";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { Code, ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ErrorInfoSchema } from "../src/gen/google/rpc/error_details_pb.ts";
import { explainFailure } from "./failure.ts";
import { lossOf } from "./lost.ts";
import { run } from "./program.ts";
import { newFakeApi } from "./testing/fake-api.ts";
import { newTestIo } from "./testing/test-io.ts";
import { openGrpcTransport } from "./transport.ts";

const api = newFakeApi();
const sessions = new Set<ServerHttp2Session>();
let server: Http2Server;

beforeAll(async () => {
  server = createServer(connectNodeAdapter(api.server)).listen(0, "127.0.0.1");
  server.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
  });
  await once(server, "listening");
  // As when the server's process is killed: its sockets close, and nothing is said.
  api.before = async () => {
    for (const session of sessions) session.socket.destroy();
    await new Promise(setImmediate);
  };
});
afterAll(() => {
  server.close();
});

async function n0cli(line: string) {
  const { port } = server.address() as AddressInfo;
  const t = newTestIo({ env: { N0CLI_API_ENDPOINT: `127.0.0.1:${port}` } });
  const exitCode = await run(line.split(" "), { ...t.io, openTransport: openGrpcTransport });
  return { exitCode, stderr: t.stderr() };
}

test("a server that dies during a change leaves open whether it was done, and is no interrupt", async () => {
  const { exitCode, stderr } = await n0cli(
    "bs create data --request_bytes 1GiB --limit_bytes 1GiB",
  );
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(
    /^\[Unavailable\] connection lost; it may or may not have been done: look with n0cli get block_storage data \(.+\)\n$/,
  );
});

test.each(["get bs data", "get bs --watch"])("%s only tells the loss", async (line) => {
  const { exitCode, stderr } = await n0cli(line);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/^\[Unavailable\] connection lost \(.+\)\n$/);
});

const going = new AbortController().signal;
const words = (message: string, code: Code) =>
  lossOf(new ConnectError(message, code), going, "; x");

test.each([
  ["http/2 stream closed with error code CANCEL (0x8)", Code.Canceled],
  ["http/2 stream closed with error code INTERNAL_ERROR (0x2)", Code.Internal],
  ["read ECONNRESET", Code.Aborted],
  ["protocol error: missing status", Code.Internal],
  ["PING timed out", Code.Unavailable],
  ["HTTP 502", Code.Unavailable],
])("%j is a loss", (message, code) => {
  const loss = words(message, code);
  expect(loss.message).toBe(`[unavailable] connection lost; x (${message})`);
  expect(explainFailure(loss, "http://x").lines).toHaveLength(1);
});

test.each([
  ["connect ECONNREFUSED 127.0.0.1:1", Code.Unavailable],
  ["connect ETIMEDOUT 10.0.0.1:1", Code.Unavailable],
  ["getaddrinfo ENOTFOUND nowhere", Code.Unavailable],
  ["http/2 stream closed with error code REFUSED_STREAM (0x7)", Code.Unavailable],
  ["the disk is broken", Code.Internal],
])("%j is none: nothing was sent, or there is an answer", (message, code) => {
  expect(words(message, code).rawMessage).toBe(message);
});

test("neither is what a server of ours says, or what the user interrupted", () => {
  const info = { desc: ErrorInfoSchema, value: { reason: "cancelled", domain: "n0stack" } };
  const ours = new ConnectError("canceled", Code.Canceled, undefined, [info]);
  expect(lossOf(ours, going)).toBe(ours);
  expect(explainFailure(ours, "http://x").exitCode).toBe(1);
  const stopped = new ConnectError("This operation was aborted", Code.Canceled);
  expect(lossOf(stopped, AbortSignal.abort())).toBe(stopped);
});
