import { connect, type Socket } from "node:net";

/** The address of attacks without a token: a server's count for it does not affect the others. */
export const STRANGER = "127.0.0.3";
const ANSWER_BYTES_MAX = 1 << 16;

/** A connection to a server, as a stranger's. Its errors are ignored. */
export function openSocket(url: string): Socket {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), localAddress: STRANGER });
  socket.on("error", () => {});
  return socket;
}

/** Sends bytes on a new connection. Returns what came back until the server hung up or the time was over. */
export async function exchange(
  url: string,
  pieces: readonly Uint8Array[],
  timeoutMs: number,
): Promise<string> {
  const socket = openSocket(url);
  const closed = Promise.withResolvers<void>();
  const timer = setTimeout(() => socket.destroy(), timeoutMs);
  let answer = "";
  socket.on("data", (chunk: Buffer) => {
    if (answer.length < ANSWER_BYTES_MAX) answer += chunk.toString("latin1");
  });
  socket.once("close", () => closed.resolve());
  for (const piece of pieces) {
    if (socket.destroyed) break;
    // Does not wait for a server that does not read.
    if (!socket.write(piece)) await Promise.race([drained(socket), closed.promise]);
  }
  await closed.promise;
  clearTimeout(timer);
  return answer;
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once("drain", () => resolve()));
}
