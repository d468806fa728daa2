import { Code, ConnectError } from "@connectrpc/connect";
import { systemClock } from "../../util/clock.ts";
import { N0Error } from "../../util/errors.ts";
import { within } from "../../util/race.ts";
import { toConnectError } from "../errors.ts";
import type { NodeServerRequest } from "../http.ts";
import { protocolOf } from "../refuse.ts";
import type { Budget } from "./budget.ts";
import { newBytes } from "./bytes.ts";

export interface ReceiveOptions {
  /** The maximum size of one message, as it arrives. */
  readonly bytesMax: number;
  /** How long the client may take for the whole body, or for each message of a stream. */
  readonly timeoutMs: number;
  /** The budget for bytes that are received and not yet read. */
  readonly budget: Budget;
}

/** Before each message of a stream, and of gRPC, there are one byte of flags and four of length. */
const ENVELOPE_HEAD_BYTES = 5;
const COMPRESSED_FLAG = 1;

/**
 * The body of a request that is one message, in one piece. It reads nothing before the first `next`.
 *
 * @throws ConnectError `resource_exhausted` for a body that is too large, as soon as that is known;
 *   `deadline_exceeded` for one that takes too long; `canceled` if the client hangs up.
 */
export async function* wholeBody(
  request: NodeServerRequest,
  options: ReceiveOptions,
): AsyncGenerator<Uint8Array, void> {
  if (Number(request.headers["content-length"] ?? 0) > bodyBytesMax(options))
    throw tooLarge(options);
  const taking = newTaking(options.budget);
  try {
    yield await receiveWhole(request, options, taking);
  } finally {
    taking.giveAll();
  }
}

/**
 * The messages of a stream, each in one piece with its envelope. A client may be silent between two
 * messages for as long as it likes, but not before the first, and not within one.
 *
 * @throws ConnectError like `wholeBody`.
 */
export async function* envelopes(
  request: NodeServerRequest,
  options: ReceiveOptions,
): AsyncGenerator<Uint8Array, void> {
  const taking = newTaking(options.budget);
  const held = newBytes();
  let isStarting = true;
  const chunks = request.iterator({ destroyOnReturn: false });
  let lateAtMs = performance.now() + options.timeoutMs;
  try {
    for (;;) {
      const isWaited = isStarting || held.length > 0;
      const leftMs = isWaited ? lateAtMs - performance.now() : undefined;
      const step = await before(leftMs, chunks.next(), options).catch(inWords);
      if (step.done === true) {
        if (held.length > 0) yield held.take(held.length);
        return;
      }
      const chunk: Uint8Array = step.value;
      taking.take(chunk.length);
      if (held.length === 0) lateAtMs = performance.now() + options.timeoutMs;
      held.push(chunk);
      for (let length = envelopeLength(held, options); length <= held.length; ) {
        yield held.take(length);
        taking.give(length);
        isStarting = false;
        lateAtMs = performance.now() + options.timeoutMs;
        length = envelopeLength(held, options);
      }
    }
  } finally {
    taking.giveAll();
  }
}

/** The message in a piece of a body; undefined if it is compressed: then `boundedGzip` checks it. */
export function plainMessage(
  request: NodeServerRequest,
  piece: Uint8Array,
): Uint8Array | undefined {
  if (protocolOf(request) === "connect") {
    const encoding = request.headers["content-encoding"] ?? "identity";
    return encoding === "identity" ? piece : undefined;
  }
  const isCompressed = ((piece[0] ?? 0) & COMPRESSED_FLAG) !== 0;
  return isCompressed ? undefined : piece.subarray(ENVELOPE_HEAD_BYTES);
}

/** The length of the first envelope; larger than the received bytes if its header is incomplete. */
function envelopeLength(held: ReturnType<typeof newBytes>, options: ReceiveOptions): number {
  if (held.length < ENVELOPE_HEAD_BYTES) return ENVELOPE_HEAD_BYTES;
  const length = held.uint32At(1);
  if (length > options.bytesMax) throw tooLarge(options);
  return ENVELOPE_HEAD_BYTES + length;
}

function bodyBytesMax({ bytesMax }: ReceiveOptions): number {
  return bytesMax + ENVELOPE_HEAD_BYTES;
}

/** Reads by events, because a late body must not end the connection, which the answer needs. */
function receiveWhole(
  request: NodeServerRequest,
  options: ReceiveOptions,
  taking: Taking,
): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const held = newBytes();
  const onData = (chunk: Uint8Array) => {
    try {
      if (held.length + chunk.length > bodyBytesMax(options)) throw tooLarge(options);
      taking.take(chunk.length);
      held.push(chunk);
    } catch (error) {
      fail(error);
    }
  };
  const onEnd = () => {
    leave();
    resolve(held.take(held.length));
  };
  const onClose = () => fail(hungUp());
  const fail = (error: unknown) => {
    leave();
    // Later bytes are dropped.
    request.resume();
    reject(error);
  };
  const timer = setTimeout(() => fail(late(options)), options.timeoutMs);
  const leave = () => {
    clearTimeout(timer);
    request.off("data", onData).off("end", onEnd).off("error", onClose).off("close", onClose);
  };
  request.on("end", onEnd).on("error", onClose).on("close", onClose).on("data", onData);
  if (request.readableEnded || request.destroyed) onClose();
  return promise;
}

function before<T>(
  leftMs: number | undefined,
  promise: Promise<T>,
  options: ReceiveOptions,
): Promise<T> {
  if (leftMs === undefined) return promise;
  return within(systemClock, promise, Math.max(0, leftMs), () => {
    throw late(options);
  });
}

interface Taking {
  take(amount: number): void;
  give(amount: number): void;
  giveAll(): void;
}

/** The bytes that one request has taken from a budget. */
function newTaking(budget: Budget): Taking {
  let taken = 0;
  return {
    take: (amount) => {
      try {
        budget.take(amount);
      } catch (error) {
        throw toConnectError(error);
      }
      taken += amount;
    },
    give: (amount) => {
      budget.give(amount);
      taken -= amount;
    },
    giveAll: () => {
      budget.give(taken);
      taken = 0;
    },
  };
}

function inWords(reason: unknown): never {
  throw reason instanceof ConnectError ? reason : hungUp(reason);
}

export function tooLargeMessage(bytesMax: number | string): string {
  return `the request is larger than the ${bytesMax} bytes that this call takes`;
}

export function hungUp(cause?: unknown): ConnectError {
  return new ConnectError("the client hung up", Code.Canceled, undefined, undefined, cause);
}

function tooLarge({ bytesMax }: ReceiveOptions): ConnectError {
  return toConnectError(new N0Error("resource_exhausted", tooLargeMessage(bytesMax)));
}

function late({ timeoutMs }: ReceiveOptions): ConnectError {
  const message = `the request did not arrive completely within ${timeoutMs / 1000} s`;
  return toConnectError(new N0Error("deadline_exceeded", message));
}
