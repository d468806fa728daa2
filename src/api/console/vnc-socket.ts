import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { WebSocket } from "ws";
import { createWebSocketStream, WebSocketServer } from "ws";
import { fromConnectError, onNodeStream } from "../../rpc/errors.ts";
import type { UpgradeHandler } from "../../rpc/http.ts";
import { refuseUpgrade, requestFields, requestUrl } from "../../rpc/http.ts";
import { errorChain, N0Error } from "../../util/errors.ts";
import type { Log } from "../../util/log.ts";
import { withLogFields } from "../../util/log.ts";
import { onAbort } from "../../util/race.ts";
import { nameOnNode, type Ref } from "../../util/ref.ts";
import type { ConsoleTarget, FindConsole } from "./console-target.ts";
import type { FindLinkRight, LinkRight } from "./link-right.ts";
import type { ConsoleTokens } from "./tokens/tokens.ts";
import { VIRTUAL_MACHINE_PREFIX, vncSocketRef } from "./urls.ts";
import { Visit } from "./visit.ts";

const MESSAGE_BYTES_MAX = 1 << 20;
const PING_INTERVAL_MS = 30_000;
/** The close codes of RFC 6455, section 7.4.1. */
const CLOSE_NORMAL = 1000;
const CLOSE_POLICY = 1008;
const CLOSE_INTERNAL_ERROR = 1011;
/** The limit of a close frame, in bytes. */
const CLOSE_REASON_LENGTH_MAX = 120;
const RIGHT_ENDED = "the token or the role with which this console was opened has ended";

export interface VncSocketDeps {
  readonly tokens: ConsoleTokens;
  readonly findConsole: FindConsole;
  readonly consoleRight: FindLinkRight;
  readonly log: Log;
}

/**
 * The screen of a virtual machine: RFB in binary WebSocket messages (as noVNC and websockify use it), joined
 * with the agent's OpenVnc stream. The attempt consumes the token, whatever its result.
 */
export function vncSocketHandler(deps: VncSocketDeps): UpgradeHandler {
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: MESSAGE_BYTES_MAX,
    perMessageDeflate: false,
    handleProtocols: (offered) => (offered.has("binary") ? "binary" : false),
  });
  return {
    pathPrefix: VIRTUAL_MACHINE_PREFIX,
    handle: async (request, socket, head) => {
      const url = requestUrl(request);
      const ref = vncSocketRef(url?.pathname ?? "");
      if (url === undefined || ref === undefined) return refuseUpgrade(socket, 404, "Not Found");
      const token = url.searchParams.get("token") ?? "";
      const taking = () => deps.tokens.take("vnc", ref, token);
      const link = await orRefused(deps.log, ref, socket, taking);
      if (link === "refused") return;
      using right = link && deps.consoleRight(link, ref);
      if (link === undefined || right === undefined) {
        return refuseUpgrade(socket, 403, "Forbidden");
      }
      await withLogFields({ ...requestFields(request), linkAsker: link.asker }, async () => {
        const target = await orRefused(deps.log, ref, socket, () => deps.findConsole(ref));
        if (target === "refused") return;
        // Another virtual machine may have the name now, and this link is not for that one.
        if (target.incarnation !== link.id) return refuseUpgrade(socket, 403, "Forbidden");
        const webSocket = await upgraded(server, request, socket, head);
        await carry(deps.log, webSocket, ref, target, right);
      });
    },
  };
}

/** The result of `work`. If it fails, the client gets the failure and the result is undefined. */
async function orRefused<T>(
  log: Log,
  ref: Ref,
  socket: Duplex,
  work: () => Promise<T>,
): Promise<T | "refused"> {
  // Until the upgrade nobody else listens for the end of the client's connection, which would end the process.
  const ignore = () => socket.destroy();
  socket.on("error", ignore);
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof N0Error)) throw error;
    log.info("a console was refused", { name: nameOnNode(ref), refusal: errorChain(error) });
    if (error.kind === "not_found") refuseUpgrade(socket, 404, "Not Found");
    else refuseUpgrade(socket, 503, "Service Unavailable");
    return "refused";
  } finally {
    socket.off("error", ignore);
  }
}

function upgraded(
  server: WebSocketServer,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<WebSocket> {
  return new Promise((resolve) => server.handleUpgrade(request, socket, head, resolve));
}

/** Joins the two until either ends. */
async function carry(
  log: Log,
  webSocket: WebSocket,
  ref: Ref,
  { uuid, nodeName, compute }: ConsoleTarget,
  right: LinkRight,
): Promise<void> {
  const ended = new AbortController();
  using _ = onAbort(right.ended, () => webSocket.close(CLOSE_POLICY, RIGHT_ENDED));
  webSocket.once("close", () => ended.abort());
  const stopPinging = pingRegularly(webSocket);
  const browser = createWebSocketStream(webSocket);
  // A failure here also breaks the reading below, which handles it.
  browser.on("error", () => ended.abort());
  const name = nameOnNode(ref);
  using visit = new Visit(log, "console", { console: "vnc", name, uuid, node: nodeName });
  try {
    const messages = onNodeStream(nodeName, () =>
      compute.openVnc(typed(name, visit.fromClient(browser)), { signal: ended.signal }),
    );
    await pipeline(visit.toClient(dataOf(messages)), browser, { end: false });
    webSocket.close(CLOSE_NORMAL);
  } catch (reason) {
    if (!ended.signal.aborted) {
      visit.error = reason;
      const { kind, message } = fromConnectError(reason);
      const text = kind === "internal" ? "internal error" : message;
      webSocket.close(CLOSE_INTERNAL_ERROR, asciiHead(text));
    }
  } finally {
    stopPinging();
    ended.abort();
  }
}

/** A close reason has a limit in bytes, and must not be cut within a character. */
function asciiHead(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, CLOSE_REASON_LENGTH_MAX);
}

async function* typed(name: string, browser: AsyncIterable<Uint8Array>) {
  yield { name };
  for await (const data of browser) yield { data };
}

async function* dataOf(messages: AsyncIterable<{ readonly data: Uint8Array }>) {
  // The first message is empty: it only says that the connection is established.
  for await (const { data } of messages) if (data.length > 0) yield data;
}

/** Ends the connection of a browser that answers no ping: its computer is gone without a word. */
function pingRegularly(webSocket: WebSocket): () => void {
  let isAlive = true;
  webSocket.on("pong", () => {
    isAlive = true;
  });
  const timer = setInterval(() => {
    if (!isAlive) return webSocket.terminate();
    isAlive = false;
    webSocket.ping();
  }, PING_INTERVAL_MS);
  return () => clearInterval(timer);
}
