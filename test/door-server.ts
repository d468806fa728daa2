import { once } from "node:events";
import {
  type ClientSessionOptions,
  connect as connectHttp2,
  type SecureClientSessionOptions,
} from "node:http2";
import { connect as connectSocket } from "node:net";
import { afterEach } from "vitest";
import { NodeService } from "../src/gen/n0stack/pool/v0/node_pb.ts";
import { ConsoleService } from "../src/gen/n0stack/provisioning/v1alpha1/console_pb.ts";
import type { ListenOptions } from "../src/rpc/listen.ts";
import { listen } from "../src/rpc/listen.ts";
import { openLog } from "../src/util/log.ts";
import { untilAborted } from "../src/util/race.ts";

export const TOKEN = "a-token-of-16-characters";
export const CHECK = "/grpc.health.v1.Health/Check";
export const GET_NODE = "/n0stack.pool.v0.NodeService/GetNode";
export const WATCH_NODES = "/n0stack.pool.v0.NodeService/WatchNodes";
export const ATTACH = "/n0stack.provisioning.v1alpha1.ConsoleService/AttachSerial";

type Lines = Record<string, unknown>[];

let closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  closers = [];
});

export function onceDone(close: () => Promise<void> | void): void {
  closers.push(close);
}

/** A server until the end of the test, and its log. */
export async function serveDoor(options: Partial<ListenOptions> = {}) {
  const lines: Lines = [];
  const listener = await listen({
    host: "127.0.0.1",
    port: 0,
    log: openLog({ level: "debug", write: (line) => lines.push(JSON.parse(line)) }),
    routes: ({ service }) => {
      service(NodeService, {
        getNode: ({ name }) => ({ name }),
        listNodes: () => ({ nodes: [] }),
        async *watchNodes(_, { signal }) {
          yield { synced: true };
          await untilAborted(signal);
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
  onceDone(() => listener.stop(0));
  return { ...listener, lines };
}

export interface RawAnswer {
  readonly headers: Record<string, unknown>;
  readonly trailers: Record<string, unknown>;
  readonly body: Buffer;
}

export interface RawStream {
  /** The headers of the answer have arrived. */
  readonly begun: Promise<unknown>;
  readonly answer: Promise<RawAnswer>;
  write(bytes: Uint8Array | string): void;
  end(bytes?: Uint8Array | string): void;
  reset(code: number): void;
}

/** A connection of HTTP/2 for requests that are written by hand. */
export function rawHttp2(
  url: string,
  options: ClientSessionOptions | SecureClientSessionOptions = {},
) {
  const session = connectHttp2(url, options);
  session.on("error", () => {});
  onceDone(() => session.destroy());
  const post = (path: string, contentType: string, headers = {}): RawStream => {
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": contentType,
      te: "trailers",
      ...headers,
    });
    const begun = once(stream, "response").catch(() => undefined);
    const answer = new Promise<RawAnswer>((resolve) => {
      let got = {};
      let trailers = {};
      const body: Buffer[] = [];
      stream.on("response", (responseHeaders) => {
        got = responseHeaders;
      });
      stream.on("trailers", (responseTrailers) => {
        trailers = responseTrailers;
      });
      stream.on("data", (chunk: Buffer) => body.push(chunk));
      stream.on("error", () => {});
      stream.on("close", () => resolve({ headers: got, trailers, body: Buffer.concat(body) }));
    });
    return {
      begun,
      answer,
      write: (bytes) => void stream.write(bytes),
      end: (bytes) => void stream.end(bytes),
      reset: (code) => stream.close(code),
    };
  };
  return { session, post };
}

/** Sends text on a new socket; resolves with everything that arrived until the end. */
export function sendRaw(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    let got = "";
    const socket = connectSocket(port, "127.0.0.1", () => socket.write(text));
    socket.on("data", (data) => {
      got += data.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(got));
    onceDone(() => void socket.destroy());
  });
}

/** A message with its head, as in gRPC and in the streams of Connect. */
export function envelope(data: Uint8Array, flags = 0, length = data.length): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, data]);
}
