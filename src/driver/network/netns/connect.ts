import { once } from "node:events";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { quietStream } from "../../../util/quiet-stream.ts";
import { onAbort } from "../../../util/race.ts";
import { checkEndpoint } from "../network-check.ts";
import { networkNotHere, nobodyAnswers } from "../network-errors.ts";
import { namespaceAt, tcpSocketIn } from "./namespace.ts";

/**
 * The kernel gives up a neighbour that does not answer after 3 s, but it waits long for one that drops packets.
 */
const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Connects from inside of the namespace at `path`. A socket belongs to the namespace in which it was made,
 * whichever process uses it, so no process has to run there.
 */
export async function connectIn(
  path: string,
  networkName: string,
  host: string,
  port: number,
  signal: AbortSignal,
): Promise<Duplex> {
  const version = checkEndpoint(host, port);
  signal.throwIfAborted();
  const fd = openSocket(path, networkName, version);
  const socket = quietStream(new Socket({ fd, allowHalfOpen: true }));
  const listening = onAbort(signal, () => socket.destroy(abortError(signal)));
  socket.once("close", () => listening[Symbol.dispose]());

  socket.connect({ host, port });
  try {
    await once(socket, "connect", {
      signal: AbortSignal.any([signal, AbortSignal.timeout(CONNECT_TIMEOUT_MS)]),
    });
    return socket;
  } catch (cause) {
    socket.destroy();
    signal.throwIfAborted();
    throw nobodyAnswers(networkName, host, port, cause);
  }
}

function openSocket(path: string, networkName: string, version: 4 | 6): number {
  try {
    return tcpSocketIn(path, version);
  } catch (cause) {
    if (namespaceAt(path) !== "namespace") throw networkNotHere(networkName, cause);
    throw cause;
  }
}

function abortError(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error("aborted");
}
