import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createSocketServer } from "node:net";

export type Handle = (request: IncomingMessage, response: ServerResponse) => void;

export interface WebServer extends AsyncDisposable {
  /** Without a slash at its end. */
  readonly url: string;
  readonly server: Server;
}

/** A server, on loopback by default. Disposing of it ends it with all its connections. */
export async function newWebServer(handle: Handle, address = "127.0.0.1"): Promise<WebServer> {
  const server = createServer(handle).listen(0, address);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${address}:${port}`,
    server,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/**
 * A server on loopback that answers the first bytes of each connection with these, whatever they are, and hangs
 * up.
 */
export async function newRawServer(
  answer: string,
): Promise<AsyncDisposable & { readonly host: string }> {
  const server = createSocketServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end(answer));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.close();
      await once(server, "close");
    },
  };
}
