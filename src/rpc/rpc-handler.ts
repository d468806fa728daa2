import type { DescMethod } from "@bufbuild/protobuf";
import type { ConnectRouter, Interceptor } from "@connectrpc/connect";
import {
  Code,
  ConnectError,
  createConnectRouter,
  createServiceImplSpec,
} from "@connectrpc/connect";
import { Health } from "../gen/grpc/health/v1/health_pb.ts";
import type { Log } from "../util/log.ts";
import { quote } from "../util/quote.ts";
import { answerCall, receivedInterceptor } from "./adapter.ts";
import { type Caller, NOBODY } from "./caller.ts";
import {
  HELD_BYTES_MAX,
  HELD_BYTES_PER_CONNECTION_MAX,
  isClientStream,
  isOpen,
  messageBytesMax,
  OPEN_CALLS_MAX,
  OPEN_HELD_BYTES_MAX,
  OPEN_HELD_BYTES_PER_CONNECTION_MAX,
  RECEIVE_TIMEOUT_MS,
  WATCHES_MAX,
  WATCHES_PER_CONNECTION_MAX,
} from "./door/bounds.ts";
import type { Budget } from "./door/budget.ts";
import { sharedBudget } from "./door/budget.ts";
import { connectionOf } from "./door/connections.ts";
import { checkEntries } from "./door/entries.ts";
import { boundedGzip } from "./door/inflate.ts";
import { newOpenCalls } from "./door/open-calls.ts";
import { envelopes, plainMessage, wholeBody } from "./door/receive.ts";
import type { Refusals } from "./door/refusals.ts";
import { factsOf } from "./door/refusals.ts";
import { mayTakeLong } from "./door/slow-clients.ts";
import { drainInterceptor } from "./drain.ts";
import type { Audience } from "./errors.ts";
import { toConnectError } from "./errors.ts";
import { healthRoutes } from "./health.ts";
import type { NodeServerRequest, NodeServerResponse } from "./http.ts";
import { serverInterceptors } from "./interceptors.ts";
import { valuesOf } from "./peer.ts";
import { reflectionRoutes } from "./reflection.ts";
import type { Refusal } from "./refuse.ts";
import { protocolOf, refuse } from "./refuse.ts";
import type { Gate } from "./token-auth.ts";

/** Answers are not compressed: on a local network that costs more time than it saves. */
const COMPRESS_BYTES_MIN = 0xffff_ffff;
const RPC_PATH = /^\/([\w.]{1,200})\/(\w{1,200})$/;

interface RpcOptions {
  readonly log: Log;
  readonly refusals: Refusals;
  readonly gate: Gate;
  readonly routes: (router: ConnectRouter) => void;
  readonly audience?: Audience;
  readonly interceptors?: readonly Interceptor[];
  readonly receiveTimeoutMs?: number;
}

type RpcRoute = ConnectRouter["handlers"][number];

/**
 * Serves `routes`, health and reflection. Refuses a request for an unknown RPC, in a form that the RPC does
 * not accept, or without the token, in the protocol of the request, and reads nothing of its body. Connect
 * would answer a bare HTTP status, which gRPC clients show as a broken server.
 *
 * @param stopping Ends endless streams, and changes the health state.
 * @param cutting Ends all calls that still run.
 */
export function rpcHandler(
  options: RpcOptions,
  stopping: AbortSignal,
  cutting: AbortSignal,
): (request: NodeServerRequest, response: NodeServerResponse) => void {
  const routes = routesOf(options, stopping, cutting);
  const bodyOf = bodies(options);
  const watchesOf = sharedBudget(WATCHES_MAX, WATCHES_PER_CONNECTION_MAX, "health watches");
  const takePlace = newOpenCalls(OPEN_CALLS_MAX);
  return (request, response) => {
    const path = request.url?.split("?", 1)[0] ?? "";
    const route = routes.get(path);
    if (route === undefined) return refuse(request, response, noSuchRpc(routes, path));
    const { method } = route;
    const onRefused = ({ code, rawMessage }: ConnectError) => {
      const facts = { code: Code[code], refusal: rawMessage };
      options.refusals.note("request", { ...factsOf(request), ...facts });
    };
    const answer = (caller: Caller) => {
      const contextValues = valuesOf(request, caller);
      const call = { route, body: bodyOf(request, method), contextValues, onRefused };
      answerCall(request, response, call).catch((error: unknown) => {
        options.log.error("a call could not be answered", { path, error });
        response.destroy();
      });
    };
    const refusal = mismatch(route, request);
    if (refusal !== undefined) return refuse(request, response, refusal);
    if (!isOpen(method)) {
      return options.gate(request, response, (caller) => {
        mayTakeLong(response);
        answer(caller);
      });
    }
    // Refused before anything is allocated, because a stream costs a hundred times as much as a call.
    if (method === Health.method.watch) {
      const error = placeTaken(watchesOf(connectionOf(request)), response);
      if (error !== undefined) {
        onRefused(error);
        return refuse(request, response, { status: 429, error });
      }
    } else takePlace(response);
    answer(NOBODY);
  };
}

/** Takes a place until the end of the answer. @returns the reason if there is none. */
function placeTaken(places: Budget, response: NodeServerResponse): ConnectError | undefined {
  try {
    places.take(1);
  } catch (error) {
    return toConnectError(error);
  }
  response.once("close", () => places.give(1));
  return undefined;
}

function routesOf(
  options: RpcOptions,
  stopping: AbortSignal,
  cutting: AbortSignal,
): ReadonlyMap<string, RpcRoute> {
  const { audience = "client", interceptors = [], log } = options;
  const router = createConnectRouter({
    interceptors: [
      receivedInterceptor(),
      ...serverInterceptors(log, audience),
      drainInterceptor(stopping),
      ...interceptors,
    ],
    // Nobody reads unknown fields, and a few KiB can contain millions.
    binaryOptions: { readUnknownFields: false },
    compressMinBytes: COMPRESS_BYTES_MIN,
    shutdownSignal: cutting,
  });
  const bounded = withBounds(router, audience);
  options.routes(bounded);
  const services = [...new Set(router.handlers.map((handler) => handler.service))];
  const names = new Set(services.map((service) => service.typeName));
  healthRoutes(bounded, names, stopping);
  reflectionRoutes(bounded, [...services, Health]);
  return new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
}

/** Registers routes as usual, each method with its limit of message sizes. */
function withBounds(router: ConnectRouter, audience: Audience): ConnectRouter {
  const gzipOf = boundedGzip();
  const limits = (method: DescMethod) => ({
    readMaxBytes: messageBytesMax(method, audience),
    acceptCompression: [gzipOf((message) => checkEntries(method.input, message))],
  });
  return {
    handlers: router.handlers,
    service(service, implementation) {
      const { methods } = createServiceImplSpec(service, implementation);
      for (const { method, impl } of Object.values(methods)) {
        // The type of an implementation is known only for a known method.
        router.rpc(method, impl as never, limits(method));
      }
      return this;
    },
    rpc(method, implementation) {
      router.rpc(method, implementation, limits(method));
      return this;
    },
  };
}

/** Reads the body of a request, once somebody asks for it. */
function bodies({ audience = "client", receiveTimeoutMs = RECEIVE_TIMEOUT_MS }: RpcOptions) {
  const what = "bytes of requests";
  const known = sharedBudget(HELD_BYTES_MAX, HELD_BYTES_PER_CONNECTION_MAX, what);
  const open = sharedBudget(OPEN_HELD_BYTES_MAX, OPEN_HELD_BYTES_PER_CONNECTION_MAX, what);
  return (request: NodeServerRequest, method: DescMethod) => {
    const bounds = {
      bytesMax: messageBytesMax(method, audience),
      timeoutMs: receiveTimeoutMs,
      budget: (isOpen(method) ? open : known)(connectionOf(request)),
    };
    const body = isClientStream(method) ? envelopes(request, bounds) : wholeBody(request, bounds);
    return counted(request, method, body);
  };
}

/**
 * The same pieces, each a message, after their entries are counted. Compressed messages are counted when
 * they are inflated.
 */
async function* counted(
  request: NodeServerRequest,
  { input }: DescMethod,
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  for await (const bytes of body) {
    const message = plainMessage(request, bytes);
    if (message !== undefined) checkEntries(input, message);
    yield bytes;
  }
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

/** The requests that Connect would refuse before any of its protocols reads them. */
function mismatch(route: RpcRoute, request: NodeServerRequest): Refusal | undefined {
  const { methodKind, name } = route.method;
  if (methodKind === "bidi_streaming" && request.httpVersionMajor === 1) {
    // Otherwise a client that waits for answers while it sends would hang.
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
