import type { ConnectRouter, ContextKey, ContextValues, Interceptor } from "@connectrpc/connect";
import { Code, ConnectError, createContextKey } from "@connectrpc/connect";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import { codeToHttpStatus } from "@connectrpc/connect/protocol-connect";
import {
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import { cutBytes } from "../util/quote.ts";
import { errorInAnswer } from "./answer-error.ts";
import { hungUp, tooLargeMessage } from "./door/receive.ts";
import { dropEndlessDeadline } from "./endless-deadline.ts";
import { MESSAGE_BYTES_MAX } from "./errors.ts";
import type { NodeServerRequest, NodeServerResponse } from "./http.ts";
import { protocolOf, refuse } from "./refuse.ts";

type Route = ConnectRouter["handlers"][number];

/** Set once the interceptors have the request. A failure before that is the client's fault. */
const begunKey: ContextKey<{ isBegun: boolean }> = createContextKey({ isBegun: false });

/** The outermost interceptor of everything that `answerCall` serves. */
export function receivedInterceptor(): Interceptor {
  return (next) => (request) => {
    request.contextValues.get(begunKey).isBegun = true;
    if (!request.stream) return next(request);
    return next({ ...request, message: blamingClient(request.message) });
  };
}

async function* blamingClient<T>(messages: AsyncIterable<T>): AsyncGenerator<T, void> {
  try {
    yield* messages;
  } catch (reason) {
    throw ofClient(ConnectError.from(reason, Code.Internal));
  }
}

const TOO_LARGE = /larger than configured readMaxBytes (\d+)/;

/** If the bytes of a client are not a message, Connect answers `internal`, and names an option of its own. */
function ofClient(error: ConnectError): ConnectError {
  const { code, rawMessage } = error;
  const bytesMax = TOO_LARGE.exec(rawMessage)?.[1];
  if (bytesMax !== undefined) return new ConnectError(tooLargeMessage(bytesMax), code);
  if (code !== Code.Internal && code !== Code.Unknown) return error;
  const message = `the request cannot be read: ${rawMessage.replace(/^parse binary: /, "")}`;
  return new ConnectError(cutBytes(message, MESSAGE_BYTES_MAX), Code.InvalidArgument);
}

export interface Call {
  readonly route: Route;
  readonly body: AsyncIterable<Uint8Array>;
  readonly contextValues: ContextValues;
  /** Called for a call that failed because of what the client sent. */
  readonly onRefused: (error: ConnectError) => void;
}

/**
 * Lets a route answer a request. If the connection of the client fails meanwhile, the handler sees a
 * cancelled call, and nothing else fails.
 *
 * @throws every error that is not the client's fault.
 */
export async function answerCall(
  request: NodeServerRequest,
  response: NodeServerResponse,
  { route, body, contextValues, onRefused }: Call,
): Promise<void> {
  const begun = { isBegun: false };
  const values = contextValues.set(begunKey, begun);
  const asked = universalRequestFromNodeRequest(request, response, undefined, values);
  dropEndlessDeadline(asked.header);
  const signal = clientSignal(asked.signal);
  try {
    const answer = await route({ ...asked, signal, body });
    if (begun.isBegun) return await universalResponseToNodeResponse(shielded(answer), response);
    const error = ofClient(await errorInAnswer(answer, protocolOf(request)));
    if (response.destroyed || error.code === Code.Canceled) return void response.destroy();
    onRefused(error);
    refuse(request, response, { status: codeToHttpStatus(error.code), error });
  } catch (error) {
    if (!response.destroyed && !signal.aborted) throw error;
  }
}

/** Aborts with the request. Whatever ended the connection, it counts as a client that hung up. */
function clientSignal(signal: AbortSignal): AbortSignal {
  const client = new AbortController();
  signal.addEventListener(
    "abort",
    () => {
      const { reason } = signal;
      client.abort(reason instanceof ConnectError ? hungUp(reason) : reason);
    },
    { once: true },
  );
  return client.signal;
}

/** The same answer. It treats a failed write as a client that hung up. */
function shielded(answer: UniversalServerResponse): UniversalServerResponse {
  const { body } = answer;
  if (body === undefined) return answer;
  const source = body[Symbol.asyncIterator]();
  const iterator: AsyncIterator<Uint8Array> = {
    next: () => source.next(),
    return: async () => (await source.return?.()) ?? { done: true, value: undefined },
    throw: async (reason) =>
      (await source.throw?.(hungUp(reason))) ?? { done: true, value: undefined },
  };
  return { ...answer, body: { [Symbol.asyncIterator]: () => iterator } };
}
