import { Agent, request as request1 } from "node:http";
import { type ClientHttp2Session, connect } from "node:http2";
import type { RawAnswer } from "./wire.ts";

/** Reads no more than this: some methods stream a whole block storage. */
const ANSWER_BYTES_MAX = 1 << 20;

export interface RawRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** The client hangs up after this time. */
  readonly timeoutMs: number;
}

/** Undefined: no answer came in time, or the connection broke. */
export type Outcome = RawAnswer | "timed out" | { readonly broke: string };

/** Sends requests to one server over kept connections. */
export interface HttpClient {
  send(http: 1 | 2, request: RawRequest): Promise<Outcome>;
  close(): void;
}

export function newHttpClient(url: string): HttpClient {
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  let session: ClientHttp2Session | undefined;
  const opened = () => {
    if (session === undefined || session.destroyed || session.closed) {
      session = connect(url);
      session.on("error", () => {});
    }
    return session;
  };
  return {
    send: (http, request) => (http === 1 ? send1(agent, url, request) : send2(opened(), request)),
    close: () => {
      agent.destroy();
      session?.destroy();
    },
  };
}

async function send1(agent: Agent, url: string, request: RawRequest): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const { hostname, port } = new URL(url);
  const { method, path, headers, body, timeoutMs } = request;
  const signal = AbortSignal.timeout(timeoutMs);
  const sent = request1({ agent, hostname, port, method, path, headers, signal }, (response) => {
    const { statusCode = 0, headers: received } = response;
    const chunks: Buffer[] = [];
    let bytes = 0;
    const done = () =>
      resolve({
        ...{ status: statusCode, headers: received, trailers: response.trailers },
        body: Buffer.concat(chunks),
      });
    response.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > ANSWER_BYTES_MAX) response.destroy();
    });
    // A cut answer counts with what has arrived.
    response.on("close", done).on("error", () => {});
  });
  sent.on("error", (error) =>
    resolve(signal.aborted ? "timed out" : { broke: error.message.slice(0, 200) }),
  );
  sent.end(body);
  return await promise;
}

async function send2(session: ClientHttp2Session, request: RawRequest): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const { method, path, headers, body, timeoutMs } = request;
  let stream: ReturnType<ClientHttp2Session["request"]>;
  try {
    stream = session.request({ ":method": method, ":path": path, ...headers });
  } catch (error) {
    return { broke: String(error) };
  }
  const signal = AbortSignal.timeout(timeoutMs);
  signal.addEventListener("abort", () => stream.close(8));
  let head: Record<string, unknown> = {};
  let trailers: Record<string, unknown> = {};
  let failure: string | undefined;
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream
    .on("response", (received) => (head = { ...received }))
    .on("trailers", (received) => (trailers = { ...received }))
    .on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > ANSWER_BYTES_MAX) stream.close(8);
    })
    .on("error", (error: Error) => (failure = error.message.slice(0, 200)))
    .on("close", () => {
      const status = Number(head[":status"] ?? 0);
      if (status > 0) resolve({ status, headers: head, trailers, body: Buffer.concat(chunks) });
      else if (signal.aborted) resolve("timed out");
      else resolve({ broke: failure ?? `reset with ${stream.rstCode}` });
    });
  stream.end(body);
  return await promise;
}
