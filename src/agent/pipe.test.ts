import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { PassThrough } from "node:stream";
import { afterEach, expect, test } from "vitest";
import { collect } from "../../test/collect.ts";
import { until } from "../util/until.ts";
import { pipe, takeFirst } from "./pipe.ts";

const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

/** Both ends of a real TCP connection: ours, and what the guest would hold. */
async function socketPair(): Promise<{ ours: Socket; theirs: Socket }> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const accepted = once(server, "connection");
  const ours = connect({ port: address.port, host: "127.0.0.1", allowHalfOpen: true });
  await once(ours, "connect");
  const [theirs]: Socket[] = await accepted;
  cleanUps.push(() => (ours.destroy(), theirs!.destroy(), server.close()));
  theirs!.on("error", () => {});
  return { ours, theirs: theirs! };
}

/** A client that sends when it is told to. */
function newClient() {
  const messages = new PassThrough();
  cleanUps.push(() => messages.destroy());
  messages.on("error", () => {});
  return { messages, abort: new AbortController() };
}

const decode = (pieces: readonly Uint8Array[]) => Buffer.concat(pieces).toString();

async function all(bytes: AsyncIterable<Uint8Array>): Promise<string> {
  return decode(await collect(bytes));
}

test("carries bytes both ways, after an empty piece that says that the connection stands", async () => {
  const { ours, theirs } = await socketPair();
  const { messages, abort } = newClient();
  const stream = pipe(messages, ours, abort.signal);
  expect((await stream.next()).value).toEqual(new Uint8Array(0));
  messages.write("hello");
  expect(String((await once(theirs, "data"))[0])).toBe("hello");
  theirs.write("welcome");
  expect(decode([(await stream.next()).value!])).toBe("welcome");
  await stream.return();
});

test("when the client half-closes, the other side reads the end and is still heard", async () => {
  const { ours, theirs } = await socketPair();
  const { messages, abort } = newClient();
  const answer = all(pipe(messages, ours, abort.signal));
  messages.end("question");
  expect(await all(theirs)).toBe("question");
  theirs.end("the long answer");
  expect(await answer).toBe("the long answer");
  expect(ours.destroyed).toBe(true);
});

test("when the other side ends, so does the stream, though the client has not", async () => {
  const { ours, theirs } = await socketPair();
  const { messages, abort } = newClient();
  const answer = all(pipe(messages, ours, abort.signal));
  theirs.end("bye");
  expect(await answer).toBe("bye");
  expect(ours.destroyed).toBe(true);
});

test.for([
  "when the client's call ends",
  "when the reader stops",
  "when the client's stream breaks",
])("closes the connection %s", async (how) => {
  const { ours, theirs } = await socketPair();
  const { messages, abort } = newClient();
  const closed = once(theirs, "close");
  theirs.resume().on("end", () => theirs.end());
  const stream = pipe(messages, ours, abort.signal);
  await stream.next();
  if (how === "when the reader stops") await stream.return();
  else {
    const reason = new Error("hung up");
    if (how === "when the client's call ends") abort.abort(reason);
    else messages.destroy(reason);
    await expect(stream.next()).rejects.toBe(reason);
  }
  await closed;
  expect(ours.destroyed).toBe(true);
});

test("closes the connection when the call ends while the reader is waiting", async () => {
  const { ours } = await socketPair();
  const { messages, abort } = newClient();
  const stream = pipe(messages, ours, abort.signal);
  await stream.next();
  const waiting = expect(stream.next()).rejects.toThrow("hung up");
  abort.abort(new Error("hung up"));
  await waiting;
  expect(ours.destroyed).toBe(true);
});

test("closes a connection that is handed over after the call has ended", async () => {
  const { ours } = await socketPair();
  const { messages } = newClient();
  const stream = pipe(messages, ours, AbortSignal.abort(new Error("hung up")));
  await expect(all(stream)).rejects.toThrow("hung up");
  expect(ours.destroyed).toBe(true);
});

test("a connection that breaks is unavailable, with the cause", async () => {
  const { ours, theirs } = await socketPair();
  const { messages, abort } = newClient();
  const stream = pipe(messages, ours, abort.signal);
  await stream.next();
  const broken = expect(stream.next()).rejects.toMatchObject({
    kind: "unavailable",
    cause: { code: "ECONNRESET" },
  });
  theirs.resetAndDestroy();
  await broken;
});

test("does not read from the client faster than the other side takes it", async () => {
  const { ours, theirs } = await socketPair();
  const { abort } = newClient();
  theirs.pause();
  let sent = 0;
  const piece = new Uint8Array(256 * 1024);
  async function* flood() {
    for (; sent < 400; sent += 1) yield piece;
  }
  const stream = pipe(flood(), ours, abort.signal);
  const answer = all(stream);
  await until(() => ours.writableNeedDrain);
  const before = sent;
  expect(before).toBeLessThan(400);
  let received = 0;
  theirs.on("data", (data: Buffer) => void (received += data.length));
  theirs.on("end", () => theirs.end("got it all"));
  theirs.resume();
  expect(await answer).toBe("got it all");
  expect(received).toBe(400 * piece.length);
});

test("does not read from the other side faster than the client takes it", async () => {
  const { ours, theirs } = await socketPair();
  const { messages, abort } = newClient();
  const stream = pipe(messages, ours, abort.signal);
  await stream.next();
  const piece = Buffer.alloc(1024 * 1024);
  for (let n = 0; n < 64; n += 1) theirs.write(piece);
  theirs.end();
  // The kernel's buffers take some; ours takes no more than its high-water mark and one read.
  await until(() => ours.readableLength > 0);
  for (let n = 0; n < 20; n += 1) await new Promise(setImmediate);
  expect(ours.readableLength).toBeLessThanOrEqual(256 * 1024);
  expect(theirs.writableLength).toBeGreaterThan(0);
  let received = 0;
  for await (const bytes of stream) received += bytes.length;
  expect(received).toBe(64 * piece.length);
});

test("takeFirst gives the first message and the others, and refuses none", async () => {
  const { first, others } = await takeFirst(
    (async function* () {
      yield* [1, 2, 3];
    })(),
  );
  expect([first, await collect(others)]).toEqual([1, [2, 3]]);
  await expect(takeFirst((async function* () {})())).rejects.toMatchObject({
    kind: "invalid_argument",
  });
});
