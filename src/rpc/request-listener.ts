import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Log } from "../util/log.ts";
import type { OriginRule } from "./cors.ts";
import { answerCors } from "./cors.ts";
import type { HostRule } from "./host.ts";
import { HOST_REFUSAL } from "./host.ts";
import type { HttpHandler, NodeServerRequest, NodeServerResponse, UpgradeHandler } from "./http.ts";
import { answerText, refuseUpgrade, requestUrl, VERSION_HEADER } from "./http.ts";
import type { Refusal } from "./refuse.ts";
import { refuse } from "./refuse.ts";
import { bearsToken } from "./token-auth.ts";

interface RequestOptions {
  readonly log: Log;
  readonly token?: string;
  readonly httpHandlers?: readonly HttpHandler[];
  readonly upgradeHandlers?: readonly UpgradeHandler[];
  readonly isOriginAllowed?: OriginRule;
  /** Undefined: it answers to any name. */
  readonly isOwnHost?: HostRule | undefined;
  readonly version?: string;
}

const SOCKET_ERROR_IGNORED = () => {};
const HOST_REFUSED: Refusal = {
  status: 421,
  error: new ConnectError(HOST_REFUSAL, Code.FailedPrecondition),
};

/**
 * Looks at the host that is asked for, then at the origin where a page may not call from anywhere,
 * then at the plain routes, then the RPCs.
 */
export function requestListener(
  options: RequestOptions,
  rpc: (request: NodeServerRequest, response: NodeServerResponse) => void,
): (request: NodeServerRequest, response: NodeServerResponse) => void {
  const isOriginAllowed = options.isOriginAllowed ?? (() => false);
  return (request, response) => {
    // Without a listener the error of a client that hangs up would end the process.
    response.on("error", SOCKET_ERROR_IGNORED);
    if (options.version !== undefined) response.setHeader(VERSION_HEADER, options.version);
    if (options.isOwnHost?.(request) === false) return refuse(request, response, HOST_REFUSED);
    const path = requestUrl(request)?.pathname;
    if (path === undefined) return answerText(response, 400, "the request names no path");
    const handler = options.httpHandlers?.find((h) => path.startsWith(h.pathPrefix));
    // A page's own modules come with an origin too, whatever name the page was reached by.
    const isOpen = handler?.authentication === "own";
    if (!isOpen && answerCors(request, response, isOriginAllowed)) return;
    if (handler === undefined) return rpc(request, response);
    void runHandler(options, handler, request, response);
  };
}

async function runHandler(
  { log, token }: RequestOptions,
  handler: HttpHandler,
  request: NodeServerRequest,
  response: NodeServerResponse,
): Promise<void> {
  const { authorization } = request.headers;
  if (
    handler.authentication !== "own" &&
    token !== undefined &&
    !bearsToken(authorization, token)
  ) {
    return answerText(response, 401, "this server asks for a token", {
      "www-authenticate": "Bearer",
    });
  }
  try {
    await handler.handle(request, response);
  } catch (error) {
    log.error("an HTTP handler failed", { path: requestUrl(request)?.pathname, error });
    if (response.headersSent) response.destroy();
    else answerText(response, 500, "internal error");
  }
}

export function upgradeListener(
  options: RequestOptions,
): (request: IncomingMessage, socket: Duplex, head: Buffer) => void {
  return (request, socket, head) => {
    if (options.isOwnHost?.(request) === false) {
      return refuseUpgrade(socket, 421, "Misdirected Request");
    }
    const path = requestUrl(request)?.pathname ?? "";
    const handler = options.upgradeHandlers?.find((h) => path.startsWith(h.pathPrefix));
    if (handler === undefined) return refuseUpgrade(socket, 404, "Not Found");
    void (async () => {
      try {
        await handler.handle(request, socket, head);
      } catch (error) {
        options.log.error("an upgrade handler failed", { path, error });
        socket.destroy();
      }
    })();
  };
}
