import type { ConnectRouter, Interceptor } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Health } from "../gen/grpc/health/v1/health_pb.ts";
import type { Log } from "../util/log.ts";
import { quote } from "../util/quote.ts";
import { drainInterceptor } from "./drain.ts";
import type { Audience } from "./errors.ts";
import { healthRoutes } from "./health.ts";
import type { NodeServerRequest, NodeServerResponse } from "./http.ts";
import { serverInterceptors } from "./interceptors.ts";
import { valuesOf } from "./peer.ts";
import { reflectionRoutes } from "./reflection.ts";
import type { Refusal } from "./refuse.ts";
import { protocolOf, refuse } from "./refuse.ts";
import { tokenGate } from "./token-auth.ts";

const READ_BYTES_MAX = 16 << 20;
/** Nothing is compressed: on a node's own network that costs more time than it saves. */
const COMPRESS_BYTES_MIN = 0xffff_ffff;
const RPC_PATH = /^\/([\w.]{1,200})\/(\w{1,200})$/;

interface RpcOptions {
  readonly log: Log;
  readonly token?: string;
  readonly routes: (router: ConnectRouter) => void;
  readonly audience?: Audience;
  readonly interceptors?: readonly Interceptor[];
}

type RpcRoute = ConnectRouter["handlers"][number];

/**
 * Serves `routes`, health and reflection. What asks for an RPC that there is not, or in a way that the
 * RPC does not take, is refused in its own protocol; Connect would answer a bare HTTP status, which
 * clients of gRPC show as a broken server.
 *
 * @param stopping Ends endless streams, and health is told.
 * @param cutting Ends what still runs.
 */
export function rpcHandler(
  options: RpcOptions,
  stopping: AbortSignal,
  cutting: AbortSignal,
): (request: NodeServerRequest, response: NodeServerResponse) => void {
  let routes: ReadonlyMap<string, RpcRoute> = new Map();
  const handle = connectNodeAdapter({
    routes: (router: ConnectRouter) => {
      options.routes(router);
      const services = [...new Set(router.handlers.map((handler) => handler.service))];
      const names = new Set(services.map((service) => service.typeName));
      healthRoutes(router, names, () => !stopping.aborted);
      reflectionRoutes(router, [...services, Health]);
      routes = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
    },
    interceptors: [
      ...serverInterceptors(options.log, options.audience),
      drainInterceptor(stopping),
      ...(options.interceptors ?? []),
    ],
    ...(options.token === undefined ? {} : { requestGate: tokenGate(options.token) }),
    contextValues: valuesOf,
    readMaxBytes: READ_BYTES_MAX,
    compressMinBytes: COMPRESS_BYTES_MIN,
    shutdownSignal: cutting,
  });
  return (request, response) => {
    const path = request.url?.split("?", 1)[0] ?? "";
    const route = routes.get(path);
    const refusal = route === undefined ? noSuchRpc(routes, path) : mismatch(route, request);
    if (refusal === undefined) handle(request, response);
    else refuse(request, response, refusal);
  };
}

function noSuchRpc(routes: ReadonlyMap<string, RpcRoute>, path: string): Refusal {
  const [, service, method] = RPC_PATH.exec(path) ?? [];
  if (service === undefined) return refusal(404, "nothing is served at this path");
  const isKnown = [...routes.values()].some((route) => route.service.typeName === service);
  return refusal(
    404,
    isKnown
      ? `service ${service} has no method ${method}; n0cli api list shows what is served`
      : `service ${service} is not served here; n0cli api list shows what is served`,
  );
}

/** What Connect would refuse before any protocol of its own looks at the request. */
function mismatch(route: RpcRoute, request: NodeServerRequest): Refusal | undefined {
  const { methodKind, name } = route.method;
  if (methodKind === "bidi_streaming" && request.httpVersionMajor === 1) {
    // A client that waits for answers while it sends would hang.
    const headers = { connection: "close" };
    return refusal(505, `${name} streams in both directions, which needs HTTP/2`, headers);
  }
  const protocol = protocolOf(request);
  const httpMethods = protocol.startsWith("grpc") ? ["POST"] : route.allowedMethods;
  if (!httpMethods.includes(request.method ?? "")) {
    const allow = httpMethods.join(", ");
    return refusal(405, `${name} is called by HTTP ${allow} only`, { allow });
  }
  if (request.method !== "POST") return undefined;
  const contentType = request.headers["content-type"] ?? "";
  const isBase64 = /^application\/grpc-web-text/i.test(contentType);
  if (!isBase64 && route.supportedContentType(contentType)) return undefined;
  const stream = methodKind === "unary" ? "" : "connect+";
  return refusal(
    415,
    `${name} takes no message of content-type ${quote(contentType)}: send ` +
      `application/${stream}json, application/${stream}proto, application/grpc or application/grpc-web`,
  );
}

function refusal(
  status: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Refusal {
  return { status, error: new ConnectError(message, Code.Unimplemented), headers };
}
