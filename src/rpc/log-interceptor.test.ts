import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import {
  type ConnectRouter,
  createClient,
  createRouterTransport,
  type Interceptor,
} from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { NodeService } from "../gen/n0stack/pool/v0/node_pb.ts";
import { N0Error } from "../util/errors.ts";
import { addLogFields, openLog } from "../util/log.ts";
import { errorInterceptor } from "./errors.ts";
import { listen } from "./listen.ts";
import { logInterceptor } from "./log-interceptor.ts";

/** A client of a server that logs to `lines`. */
function world(refusal?: N0Error, outermost: readonly Interceptor[] = []) {
  const lines: Record<string, unknown>[] = [];
  const log = openLog({ level: "debug", write: (line) => lines.push(JSON.parse(line)) });
  const transport = createRouterTransport(
    ({ service }) =>
      service(NodeService, {
        getNode: async ({ name }) => {
          await Promise.resolve();
          addLogFields({ transactionId: "t-1" });
          log.info("inside");
          if (refusal !== undefined) throw refusal;
          return { name };
        },
        async *watchNodes() {
          yield { deletedName: "one" };
          log.info("inside");
          addLogFields({ transactionId: "t-2" });
          yield { deletedName: "two" };
        },
      }),
    { router: { interceptors: [...outermost, logInterceptor(log), errorInterceptor(log)] } },
  );
  return { lines, client: createClient(NodeService, transport) };
}

describe("one line per call", () => {
  test("with method, name, code, duration, request and transaction", async () => {
    const { lines, client } = world();
    let answeredId: string | null = null;
    await client.getNode(
      { name: "n1" },
      {
        headers: { "x-request-id": "r-1" },
        onHeader: (headers) => {
          answeredId = headers.get("x-request-id");
        },
      },
    );
    expect(answeredId).toBe("r-1");
    expect(lines).toMatchObject([
      { level: "info", message: "inside", requestId: "r-1", transactionId: "t-1" },
      {
        level: "info",
        message: "rpc",
        method: "n0stack.pool.v0.NodeService/GetNode",
        name: "n1",
        code: "ok",
        durationMs: expect.any(Number),
        requestId: "r-1",
        transactionId: "t-1",
      },
    ]);
    expect(lines[0]?.["time"]).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  });

  test("with the code and words of a refusal", async () => {
    const { lines, client } = world(
      new N0Error("failed_precondition", "busy", { transactionId: "t-9" }),
    );
    await expect(client.getNode({ name: "n1" })).rejects.toThrow("busy");
    expect(lines.at(-1)).toMatchObject({
      message: "rpc",
      code: "failed_precondition",
      refusal: "busy",
      transactionId: "t-1",
      requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
  });

  test("about nothing in particular has no name", async () => {
    const { lines, client } = world();
    await client.listNodes({}).catch(() => {});
    expect(lines.at(-1)).toMatchObject({ message: "rpc" });
    expect(lines.at(-1)).not.toHaveProperty("name");
  });

  test("of a stream, with what was logged in it", async () => {
    const { lines, client } = world();
    for await (const _ of client.watchNodes({}, { headers: { "x-request-id": "r-2" } })) continue;
    expect(lines).toMatchObject([
      { message: "inside", requestId: "r-2" },
      { message: "rpc", code: "ok", requestId: "r-2", transactionId: "t-2" },
    ]);
  });

  test("of a stream that the client leaves", async () => {
    const { lines, client } = world();
    const leaving = new AbortController();
    const reading = (async () => {
      for await (const _ of client.watchNodes({}, { signal: leaving.signal })) leaving.abort();
    })();
    await expect(reading).rejects.toThrow();
    await expect.poll(() => lines.at(-1)).toMatchObject({ message: "rpc", code: "canceled" });
  });

  test("of a stream whose next message cannot be sent: no failure of ours", async () => {
    /** As the framework does where a connection breaks while it writes. */
    const breaking: Interceptor = (next) => async (request) => {
      const response = await next(request);
      if (!response.stream) return response;
      const messages = response.message[Symbol.asyncIterator]();
      await messages.next();
      await expect(messages.throw?.(new Error("Premature close"))).rejects.toThrow();
      return { ...response, message: messages as AsyncGenerator<never> };
    };
    const { lines, client } = world(undefined, [breaking]);
    for await (const _ of client.watchNodes({})) continue;
    expect(lines).toMatchObject([{ level: "info", message: "rpc", code: "canceled" }]);
  });

  test("of a stream whose client breaks the connection with an error: no failure of ours", async () => {
    const lines = await linesOfBroken(async (_session, stream) => {
      stream.end(Buffer.from([0, 0, 0, 0, 2, ...Buffer.from("{}")]));
      await once(stream, "data");
      stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    });
    expect(lines.filter(({ level }) => level === "error")).toEqual([]);
  });

  test("of a call whose client is gone before it has said what it wants: no failure of ours", async () => {
    const lines = await linesOfBroken(async (session, stream) => {
      stream.write(Buffer.from([0, 0, 0]));
      await once(session, "connect");
      // The server's answers to these come after it has seen the call.
      for (let i = 0; i < 20; i++) await new Promise((resolve) => session.ping(resolve));
      session.destroy();
    });
    expect(lines.filter(({ level }) => level === "error")).toEqual([]);
  });
});

/** What a server logs of a watch whose client breaks it, until the line about the call. */
async function linesOfBroken(
  breakIt: (session: ClientHttp2Session, stream: ClientHttp2Stream) => Promise<void>,
): Promise<readonly Record<string, unknown>[]> {
  const lines: Record<string, unknown>[] = [];
  const log = openLog({ level: "debug", write: (line) => lines.push(JSON.parse(line)) });
  const routes = (router: ConnectRouter) =>
    router.service(NodeService, {
      async *watchNodes(_request, { signal }) {
        yield { deletedName: "one" };
        await once(signal, "abort");
      },
    });
  const server = await listen({ host: "127.0.0.1", port: 0, log, routes });
  const session = connect(server.url);
  try {
    const stream = session.request({
      ":method": "POST",
      ":path": "/n0stack.pool.v0.NodeService/WatchNodes",
      "content-type": "application/connect+json",
    });
    stream.on("error", () => {});
    await breakIt(session, stream);
    await expect.poll(() => lines.at(-1)).toMatchObject({ message: "rpc", code: "canceled" });
    return lines;
  } finally {
    session.destroy();
    await server.stop(1_000);
  }
}

test("a request id that cannot be a header is replaced", async () => {
  const { lines, client } = world();
  await client.getNode({ name: "n1" }, { headers: { "x-request-id": "a b" } });
  expect(lines.at(-1)?.["requestId"]).toMatch(/^[0-9a-f-]{36}$/);
});
