import { once } from "node:events";
import type { Http2Server, ServerHttp2Session } from "node:http2";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { ErrorInfoSchema } from "../src/gen/google/rpc/error_details_pb.ts";
import type { Connection } from "./connection.ts";
import { explainFailure } from "./failure.ts";
import { isLost, lossOf, withConsequence } from "./lost.ts";
import { run } from "./program.ts";
import { openTestApi } from "./testing/test-api.ts";
import { newTestIo } from "./testing/test-io.ts";
import { openGrpcTransport } from "./transport.ts";

const api = await openTestApi();
const sessions = new Set<ServerHttp2Session>();
let server: Http2Server;

/** As when the server's process is killed: its sockets close, and nothing is said. */
async function dropUnanswered(): Promise<void> {
  for (const session of sessions) session.socket.destroy();
  await new Promise(setImmediate);
  throw new Error("died before it did anything");
}

const keysSent = () => api.calls.map(({ header }) => header.get("idempotency-key"));

beforeAll(async () => {
  server = createServer(connectNodeAdapter(api.server)).listen(0, "127.0.0.1");
  server.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
  });
  await once(server, "listening");
});
beforeEach(() => {
  api.calls.length = 0;
  api.before = dropUnanswered;
});
afterAll(async () => {
  server.close();
  await api[Symbol.asyncDispose]();
});

const CREATE = "bs create data --request_bytes 1GiB --limit_bytes 1GiB";
const TWO_TASKS = `
a: {type: user, action: CreateUser, args: {name: a}}
b: {type: user, action: CreateUser, args: {name: b}, depends_on: [a]}
`;

async function n0cli(line: string) {
  const { port } = server.address() as AddressInfo;
  const t = newTestIo({ env: { N0CLI_API_ENDPOINT: `127.0.0.1:${port}` } });
  const exitCode = await run(line.split(" "), { ...t.io, openTransport: openGrpcTransport });
  return { exitCode, stderr: t.stderr() };
}

test("a server that stays away during a change leaves open whether it was done, and is no interrupt", async () => {
  const { exitCode, stderr } = await n0cli(CREATE);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(
    /^---> Trying again for up to 60 s: \[Unavailable\] connection lost \(.+\)\n\[Unavailable\] connection lost; the server may or may not have done it: see n0cli get block_storage data \(.+\)\n$/,
  );
  expect(api.calls.length).toBeGreaterThan(5);
  expect(new Set(keysSent()).size).toBe(1);
});

test("a change whose answer was lost is sent again under its key, which is said in one line", async () => {
  api.before = async (call) => {
    if (api.calls.length <= 3) await dropUnanswered();
    else expect(call.header.get("idempotency-key")).toBe(keysSent()[0]);
  };
  const { exitCode, stderr } = await n0cli(CREATE);
  expect(exitCode).toBe(0);
  expect(stderr).toMatch(/^---> Trying again for up to 60 s: .*connection lost.*\n$/);
  expect(api.calls).toHaveLength(4);
});

test("a server that has answered is waited for when it is not there for a while", async () => {
  const { port } = server.address() as AddressInfo;
  const t = newTestIo({ env: { N0CLI_API_ENDPOINT: `127.0.0.1:${port}` }, stdin: [TWO_TASKS] });
  let absences = 0;
  api.before = async () => {};
  const io = {
    ...t.io,
    async openTransport(connection: Connection) {
      const { transport, close } = await openGrpcTransport(connection);
      const unary: Transport["unary"] = async (...call) => {
        if (api.calls.length === 1 && absences++ < 3) {
          throw new ConnectError("connect ECONNREFUSED 127.0.0.1:1", Code.Unavailable);
        }
        return await transport.unary(...call);
      };
      return { transport: { ...transport, unary }, close };
    },
  };
  expect(await run(["do", "-"], io)).toBe(0);
  expect(t.stderr()).toContain("Trying again for up to 60 s: [Unavailable] connect ECONNREFUSED");
  expect(api.calls).toHaveLength(2);
});

test("one that never answered is not waited for", async () => {
  const t = newTestIo({ env: { N0CLI_API_ENDPOINT: "127.0.0.1:1" } });
  const io = { ...t.io, openTransport: openGrpcTransport };
  expect(await run(CREATE.split(" "), io)).toBe(1);
  expect(t.stderr()).toContain("No server answers at http://127.0.0.1:1");
  expect(t.sleptMs).toEqual([]);
});

test("with --no-wait a call is sent once, and with --timeout as long as that", async () => {
  await n0cli(`${CREATE} --no-wait`);
  expect(api.calls).toHaveLength(1);
  api.calls.length = 0;
  await n0cli(`${CREATE} --timeout 300ms`);
  expect(api.calls.length).toBeLessThan(4);
});

test("get bs data only tells the loss", async () => {
  const { exitCode, stderr } = await n0cli("get bs data");
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/\n\[Unavailable\] connection lost \(.+\)\n$/);
});

test("so does a stream, which is not begun anew", async () => {
  const { exitCode, stderr } = await n0cli("get bs --watch");
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/^\[Unavailable\] connection lost \(.+\)\n$/);
});

const going = new AbortController().signal;
const words = (message: string, code: Code) => lossOf(new ConnectError(message, code), going);

test.each([
  ["http/2 stream closed with error code CANCEL (0x8)", Code.Canceled],
  ["http/2 stream closed with error code INTERNAL_ERROR (0x2)", Code.Internal],
  ["read ECONNRESET", Code.Aborted],
  ["protocol error: missing status", Code.Internal],
  ["PING timed out", Code.Unavailable],
  ["HTTP 502", Code.Unavailable],
])("%j is a loss", (message, code) => {
  const loss = words(message, code);
  expect(loss.message).toBe(`[unavailable] connection lost (${message})`);
  const told = withConsequence(loss, "look");
  expect(told.message).toBe(`[unavailable] connection lost; look (${message})`);
  expect(isLost(told)).toBe(true);
  expect(explainFailure(loss, { baseUrl: "http://x" }).lines).toHaveLength(1);
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
  expect(explainFailure(ours, { baseUrl: "http://x" }).exitCode).toBe(1);
  const stopped = new ConnectError("This operation was aborted", Code.Canceled);
  expect(lossOf(stopped, AbortSignal.abort())).toBe(stopped);
});
