import { once } from "node:events";
import type { Duplex } from "node:stream";
import { N0Error } from "../util/errors.ts";
import { onAbort } from "../util/race.ts";

/**
 * Joins a bidirectional stream of messages with a connection: writes the messages of the client to
 * `connection`, and yields what it reads from `connection`. The first yield is empty and says that the
 * connection is established.
 *
 * When the client half-closes, the connection is half-closed too, and its remaining data is yielded. When the
 * connection half-closes, the stream ends, since RPC has no other way to say so. `connection` is destroyed at
 * the end in every case, also when the client hangs up (`signal` aborts, or the generator is returned). Neither
 * side is read faster than the other one accepts data.
 *
 * @throws N0Error `unavailable` if the connection breaks; any error of `fromClient`.
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
  // An `error` event without a listener ends the process.
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
    // Not awaited: it may wait for a message that the client never sends.
    void written;
  }
  // A destroyed connection may look like one that ended.
  if (failure !== undefined) throw failure;
}

/** Half-closes the connection when the client has sent everything. */
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
      // The connection has ended, and its reader gets the reason.
      return;
    }
  }
  connection.end();
}

async function* bytesOf(connection: Duplex): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of connection) {
    if (!(chunk instanceof Uint8Array))
      throw new TypeError("the connection must carry bytes, not objects");
    yield chunk;
  }
}

function broken(cause: unknown): N0Error {
  return new N0Error("unavailable", "the connection broke", { cause });
}

/**
 * Splits off the first message.
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

/** The data of the messages, with that of the first one. */
export async function* dataOf(
  first: { readonly data: Uint8Array },
  others: AsyncIterable<{ readonly data: Uint8Array }>,
) {
  yield first.data;
  for await (const { data } of others) yield data;
}
