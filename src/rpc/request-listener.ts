import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Log } from "../util/log.ts";
import type { OriginRule } from "./cors.ts";
import { answerCors } from "./cors.ts";
import { RECEIVE_TIMEOUT_MS, UNREAD_MAX, UNREAD_PER_CONNECTION_MAX } from "./door/bounds.ts";
import { sharedBudget } from "./door/budget.ts";
import { connectionOf } from "./door/connections.ts";
import type { RefusalReason, Refusals } from "./door/refusals.ts";
import { factsOf } from "./door/refusals.ts";
import { endUnread, endUntaken, mayTakeLong } from "./door/slow-clients.ts";
import type { HostRule } from "./host.ts";
import { HOST_REFUSAL } from "./host.ts";
import type { HttpHandler, NodeServerRequest, NodeServerResponse, UpgradeHandler } from "./http.ts";
import { answerText, refuseUpgrade, requestUrl, VERSION_HEADER } from "./http.ts";
import type { Refusal } from "./refuse.ts";
import { refuse } from "./refuse.ts";
import type { Gate } from "./token-auth.ts";

interface RequestOptions {
  readonly log: Log;
  readonly refusals: Refusals;
  readonly gate: Gate;
  readonly httpHandlers?: readonly HttpHandler[];
  readonly upgradeHandlers?: readonly UpgradeHandler[];
  readonly isOriginAllowed?: OriginRule;
  /** Undefined if it accepts any host name. */
  readonly isOwnHost?: HostRule | undefined;
  readonly version?: string;
  readonly receiveTimeoutMs?: number;
}

const SOCKET_ERROR_IGNORED = () => {};
const HOST_REFUSED: Refusal = {
  status: 421,
  error: new ConnectError(HOST_REFUSAL, Code.FailedPrecondition),
};

const NO_AUTHORITY: Refusal = {
  status: 400,
  error: new ConnectError("the host of the request is not valid", Code.InvalidArgument),
};
const CROSS_SITE_REFUSED: Refusal = {
  status: 403,
  error: new ConnectError("a page of another site may not read this", Code.PermissionDenied),
};

type Listener = (request: NodeServerRequest, response: NodeServerResponse) => void;

/** Checks the host of the request, then the origin of a page, then tries the plain routes, then the RPCs. */
export function requestListener(options: RequestOptions, rpc: Listener): Listener {
  const isOriginAllowed = options.isOriginAllowed ?? (() => false);
  return guarded(options, (request, response) => {
    const noted = (why: RefusalReason) => options.refusals.note(why, factsOf(request));
    if (options.version !== undefined) response.setHeader(VERSION_HEADER, options.version);
    if (!hasAuthority(request)) return refuse(request, response, NO_AUTHORITY);
    if (options.isOwnHost?.(request) === false) {
      noted("host");
      return refuse(request, response, HOST_REFUSED);
    }
    const path = requestUrl(request)?.pathname;
    if (path === undefined)
      return answerText(response, 400, "the path of the request is not valid");
    const handler = options.httpHandlers?.find((h) => path.startsWith(h.pathPrefix));
    // Requests for the page's own modules also have an origin, whatever the host name of the page.
    const isOpen = handler?.authentication === "own";
    if (!isOpen && answerCors(request, response, isOriginAllowed, () => noted("origin"))) return;
    if (!isOpen && isReadByOtherSite(request)) {
      noted("cross-site");
      return refuse(request, response, CROSS_SITE_REFUSED);
    }
    if (handler === undefined) return rpc(request, response);
    const run = () => void runHandler(options, handler, request, response);
    if (isOpen) run();
    else options.gate(request, response, run);
  });
}

/** No request ends the process, whatever it contains. */
function guarded(
  { log, receiveTimeoutMs = RECEIVE_TIMEOUT_MS }: RequestOptions,
  listener: Listener,
): Listener {
  const placesOf = sharedBudget(UNREAD_MAX, UNREAD_PER_CONNECTION_MAX, "requests without an end");
  return (request, response) => {
    // Without a listener the error of a client that hangs up would end the process.
    response.on("error", SOCKET_ERROR_IGNORED);
    request.on("error", SOCKET_ERROR_IGNORED);
    endUnread(request, receiveTimeoutMs, placesOf(connectionOf(request)));
    endUntaken(response, receiveTimeoutMs);
    try {
      listener(request, response);
    } catch (error) {
      log.error("a request could not be answered", { path: request.url?.slice(0, 200), error });
      if (response.headersSent) response.destroy();
      else answerText(response, 500, "internal error");
    }
  };
}

/** HTTP/1.0 needs no host, and the value need not be a host. */
function hasAuthority({ headers }: NodeServerRequest): boolean {
  const authority = headers[":authority"] ?? headers.host;
  return authority !== undefined && URL.canParse(`http://${String(authority)}`);
}

/**
 * A browser sends no origin for an image or a frame of a page, but a header says that another site (also
 * another port of the same host) asks for it.
 */
function isReadByOtherSite({ method, headers }: NodeServerRequest): boolean {
  const site = headers["sec-fetch-site"];
  const isRead = method === "GET" || method === "HEAD";
  return isRead && headers.origin === undefined && (site === "cross-site" || site === "same-site");
}

async function runHandler(
  { log }: RequestOptions,
  handler: HttpHandler,
  request: NodeServerRequest,
  response: NodeServerResponse,
): Promise<void> {
  mayTakeLong(response);
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
      options.refusals.note("host", factsOf(request));
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
