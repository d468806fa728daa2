import { once } from "node:events";
import type { Duplex } from "node:stream";
import { N0Error } from "../util/errors.ts";
import { onAbort } from "../util/race.ts";

/**
 * Joins a bidirectional stream of messages with a connection: what comes from the client is written
 * to `connection`, what the connection says is yielded. The first yield is empty and says that the
 * connection stands.
 *
 * When the client half-closes, so is the connection, and what it still says is yielded. When the
 * connection half-closes, the stream ends: RPC has no other way to say so. `connection` is destroyed
 * at the end, however it comes: also when the client hangs up (`signal` aborts, or the generator is
 * returned). Neither side is read faster than the other takes it.
 *
 * @throws N0Error `unavailable` if the connection breaks; what `fromClient` throws.
 */
export async function* pipe(
  fromClient: AsyncIterable<Uint8Array>,
  connection: Duplex,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  let failure: unknown;
  const breakOff = (reason: unknown) => {
    failure ??= reason;
    connection.destroy();
  };
  // An `error` event that nobody hears ends the process.
  const onError = (cause: unknown) => breakOff(broken(cause));
  connection.on("error", onError);
  using _ = onAbort(signal, () => breakOff(signal.reason));

  const writing = new AbortController();
  const written = writeAll(fromClient, connection, writing.signal).catch(breakOff);
  try {
    yield new Uint8Array(0);
    yield* bytesOf(connection);
  } catch (cause) {
    throw failure ?? broken(cause);
  } finally {
    connection.destroy();
    writing.abort();
    // Not awaited: it may be waiting for a message that the client never sends.
    void written;
  }
  // A connection that was destroyed may read as one that ended.
  if (failure !== undefined) throw failure;
}

/** Ends the connection's writing side when the client has sent all. */
async function writeAll(
  fromClient: AsyncIterable<Uint8Array>,
  connection: Duplex,
  signal: AbortSignal,
): Promise<void> {
  for await (const bytes of fromClient) {
    if (signal.aborted || !connection.writable) return;
    if (bytes.length === 0 || connection.write(bytes)) continue;
    try {
      await once(connection, "drain", { signal });
    } catch {
      // The connection is over, and whoever reads it knows why.
      return;
    }
  }
  connection.end();
}

async function* bytesOf(connection: Duplex): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of connection) {
    if (!(chunk instanceof Uint8Array)) throw new TypeError("the connection speaks objects");
    yield chunk;
  }
}

function broken(cause: unknown): N0Error {
  return new N0Error("unavailable", "the connection broke", { cause });
}

/**
 * The first of `messages`, and the others.
 *
 * @throws N0Error `invalid_argument` if there is none.
 */
export async function takeFirst<T>(
  messages: AsyncIterable<T>,
): Promise<{ readonly first: T; readonly others: AsyncIterable<T> }> {
  const iterator = messages[Symbol.asyncIterator]();
  const step = await iterator.next();
  if (step.done === true) {
    throw new N0Error("invalid_argument", "the first message must say what to connect to");
  }
  return { first: step.value, others: { [Symbol.asyncIterator]: () => iterator } };
}

/** What the messages carry, the first one included. */
export async function* dataOf(
  first: { readonly data: Uint8Array },
  others: AsyncIterable<{ readonly data: Uint8Array }>,
) {
  yield first.data;
  for await (const { data } of others) yield data;
}
