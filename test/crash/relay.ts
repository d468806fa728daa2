import {
  type ClientHttp2Session,
  connect as connectHttp2,
  constants,
  createServer as createHttp2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { defined } from "../../src/util/defined.ts";

/** What happens to the next change for the agent. `keep` lets it pass and remembers it. */
export type Tampering = "lose the answer" | "bring it twice" | "keep";

/** The network between an API and the agent of a node. */
export interface Relay extends AsyncDisposable {
  readonly port: number;
  /** From now on every connection ends at once. */
  cut(): void;
  /** From now on everything passes. */
  mend(): void;
  tamper(how: Tampering): void;
  /** The number of changes that were tampered with. */
  readonly tampered: number;
  /** Sends the kept change, if there is one, once more. Resolves with its answer. */
  bringAgain(): Promise<void>;
}

interface Message {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** The calls that change something on the node. The others read, or stream. */
const CHANGE = /\/(?:Ensure|Request|Reboot|Grow|Sweep)[A-Za-z]+$/;

/** Bytes pass unchanged, so that both ends notice the death of the other. Only tampering reads the calls. */
export async function openRelay(agentPort: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  const reader = createHttp2Server();
  let isCut = false;
  let tampering: Tampering | undefined;
  let tampered = 0;
  let kept: Message | undefined;

  reader.on("stream", (stream, headers) => {
    // A client that dies breaks its calls.
    stream.on("error", () => {});
    const upstream = sessionOf(stream, agentPort);
    // An agent that dies ends it a moment before it ends the API's session.
    if (upstream.closed || upstream.destroyed) return stream.session?.destroy();
    const isChange = CHANGE.test(headers[":path"] ?? "");
    if (!isChange || tampering === undefined) return pass(stream, headers, upstream);
    const how = tampering;
    tampering = undefined;
    // A client that hung up in the meantime needs no answer.
    deliver(stream, headers, upstream, how).catch(() => stream.session?.destroy());
    return undefined;
  });

  async function deliver(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    upstream: ClientHttp2Session,
    how: Tampering,
  ): Promise<void> {
    const message = { headers, body: await bodyOf(stream) };
    const [answer] = await Promise.all(
      how === "bring it twice"
        ? [ask(upstream, message), ask(upstream, message)]
        : [ask(upstream, message)],
    );
    kept = message;
    tampered += 1;
    if (how === "lose the answer" || stream.destroyed) return stream.session?.destroy();
    stream.respond(withoutConnection(answer.headers));
    stream.end(answer.body);
    return undefined;
  }

  const server = createServer((socket) => {
    if (isCut) return socket.destroy();
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket)).on("error", () => socket.destroy());
    if (tampering !== undefined) return reader.emit("connection", socket);
    const onwards = connect(agentPort, "127.0.0.1");
    onwards.on("error", () => socket.destroy()).on("close", () => socket.destroy());
    socket.on("close", () => onwards.destroy());
    socket.pipe(onwards).pipe(socket);
    return undefined;
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const endAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut() {
      isCut = true;
      endAll();
    },
    mend() {
      isCut = false;
      tampering = undefined;
      endAll();
    },
    tamper(how) {
      tampering = how;
      kept = undefined;
      endAll();
    },
    get tampered() {
      return tampered;
    },
    async bringAgain() {
      if (kept === undefined) return;
      const upstream = connectHttp2(`http://127.0.0.1:${agentPort}`);
      // The call fails with it.
      upstream.on("error", () => {});
      try {
        await ask(upstream, kept);
      } finally {
        upstream.destroy();
      }
    },
    async [Symbol.asyncDispose]() {
      endAll();
      reader.close();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** One upstream session for each session of the API. They end together. */
const upstreams = new WeakMap<object, ClientHttp2Session>();

function sessionOf(stream: ServerHttp2Stream, port: number): ClientHttp2Session {
  const { session } = stream;
  if (session === undefined) throw new Error("a stream without a session");
  const known = upstreams.get(session);
  if (known !== undefined) return known;
  const upstream = connectHttp2(`http://127.0.0.1:${port}`);
  upstreams.set(session, upstream);
  upstream.on("error", () => session.destroy()).on("close", () => session.destroy());
  session.on("error", () => upstream.destroy()).on("close", () => upstream.destroy());
  return upstream;
}

function pass(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  upstream: ClientHttp2Session,
): void {
  const onwards = upstream.request(withoutConnection(headers));
  onwards.on("response", (answer) => {
    if (!stream.destroyed) stream.respond(withoutConnection(answer));
  });
  onwards.on("error", () => stream.close(constants.NGHTTP2_INTERNAL_ERROR));
  stream.on("error", () => onwards.close(constants.NGHTTP2_CANCEL));
  stream.on("aborted", () => onwards.close(constants.NGHTTP2_CANCEL));
  stream.pipe(onwards).pipe(stream);
}

async function ask(upstream: ClientHttp2Session, { headers, body }: Message): Promise<Message> {
  const request = upstream.request(withoutConnection(headers));
  const answered = Promise.withResolvers<IncomingHttpHeaders>();
  request.on("response", (answer) => answered.resolve(answer)).on("error", answered.reject);
  request.end(body);
  const [answer, text] = await Promise.all([answered.promise, bodyOf(request)]);
  return { headers: answer, body: text };
}

async function bodyOf(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** HTTP/2 sets these itself. */
function withoutConnection(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const { [":status"]: status, ...others } = headers;
  const kept = Object.entries(others).filter(([name]) => name !== "date" && name !== ":authority");
  return { ...defined({ ":status": status }), ...Object.fromEntries(kept) };
}
