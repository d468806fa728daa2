import { Code, ConnectError } from "@connectrpc/connect";
import { errorInfo } from "./error-details.ts";

/** Words of Node and the transport for a stream or a connection that ended too early, whatever the code. */
const LOSS_WORDS =
  /http\/2 (stream|session|connection)|connection aborted|ECONNRESET|EPIPE|ETIMEDOUT|ERR_HTTP2|ERR_STREAM|GOAWAY|PING timed out|premature|socket hang up|sentinel completed early|missing (status|output message)|HTTP 50[234]/i;

/** The request did not reach a server, or the server says that it has not handled it. */
const NEVER_SENT_WORDS = /^(connect|getaddrinfo) |REFUSED_STREAM/;

const LOST = "connection lost";

/**
 * Turns the failure of a lost connection into Unavailable: the transport reports a killed server as
 * "canceled", as if the user had interrupted the call.
 */
export function lossOf(error: ConnectError, signal: AbortSignal): ConnectError {
  const words = error.rawMessage;
  const isLoss = error.code === Code.Canceled || LOSS_WORDS.test(words);
  if (signal.aborted || errorInfo(error).isOurs || !isLoss) return error;
  if (NEVER_SENT_WORDS.test(words) || isLost(error)) return error;
  return new ConnectError(`${LOST} (${words})`, Code.Unavailable, error.metadata, undefined, error);
}

/** The same loss, with what it leaves uncertain. */
export function withConsequence(loss: ConnectError, consequence: string): ConnectError {
  const message = loss.rawMessage.replace(LOST, `${LOST}; ${consequence}`);
  return new ConnectError(message, loss.code, loss.metadata, undefined, loss);
}

/** True for an error from `lossOf`. */
export function isLost(error: ConnectError): boolean {
  return error.code === Code.Unavailable && error.rawMessage.startsWith(LOST);
}
