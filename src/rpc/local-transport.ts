import type { DescMessage, DescMethod, Message } from "@bufbuild/protobuf";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type {
  ConnectRouter,
  HandlerContext,
  Interceptor,
  MethodImplSpec,
  Transport,
  UnaryRequest,
  UnaryResponse,
} from "@connectrpc/connect";
import {
  Code,
  ConnectError,
  createContextValues,
  createMethodImplSpec,
  createRouterTransport,
  createServiceImplSpec,
} from "@connectrpc/connect";
import { defined } from "../util/defined.ts";
import { ADMINISTRATOR, type Caller, callerInterceptor } from "./caller.ts";
import { startDeadline } from "./deadline.ts";

export interface LocalTransportOptions {
  /** The interceptors of the server, the outermost first. */
  readonly interceptors: Interceptor[];
  /** Who calls. Default: the administrator, because only this process can call. */
  readonly caller?: Caller;
  /** Aborts the handlers, with its reason. */
  readonly shutdownSignal?: AbortSignal;
  /** The maximum time of a call with a single answer. Default: none. */
  readonly unaryTimeoutMs?: number;
}

type UnarySpec = Extract<MethodImplSpec, { kind: "unary" }>;

const LOCAL_URL = "https://in-process";

/**
 * Calls services of this process by their RPCs. It serializes every message, the interceptors see each
 * call, and errors, headers, deadlines and aborts behave as on a wire. Streams use Connect's own in-memory
 * transport. Calls with a single answer skip HTTP, which costs the most there: see docs/bench.md.
 */
export function localTransport(
  routes: (router: ConnectRouter) => void,
  options: LocalTransportOptions,
): Transport {
  const { caller = ADMINISTRATOR, shutdownSignal, unaryTimeoutMs } = options;
  const interceptors = [callerInterceptor(caller), ...options.interceptors];
  const methods = new Map<DescMethod, UnarySpec>();
  const inMemory = createRouterTransport((router) => routes(recording(router, methods)), {
    router: { interceptors, ...defined({ shutdownSignal }) },
  });
  return {
    stream: (...call) => inMemory.stream(...call),
    async unary(method, signal, timeoutMs, header, input) {
      const spec = methods.get(method);
      if (spec === undefined) {
        throw new ConnectError(`${method.name} is not served here`, Code.Unimplemented);
      }
      using deadline = startDeadline([signal, shutdownSignal], timeoutMs, unaryTimeoutMs);
      const request: UnaryRequest = {
        stream: false,
        service: method.parent,
        method: spec.method,
        requestMethod: "POST",
        url: `${LOCAL_URL}/${method.parent.typeName}/${method.name}`,
        signal: deadline.signal,
        header: new Headers(header),
        contextValues: createContextValues(),
        message: copied(method.input, create(method.input, input)),
      };
      const answer = await deadline.race(answered(spec, request, deadline.leftMs, interceptors));
      const { header: responseHeader, trailer } = answer;
      const message = copied(method.output, answer.message);
      const { service, stream } = request;
      return { stream, service, method, header: responseHeader, trailer, message };
    },
  };
}

/** Registers routes as usual, and keeps the implementations of calls with a single answer. */
function recording(router: ConnectRouter, methods: Map<DescMethod, UnarySpec>): ConnectRouter {
  const keep = (spec: MethodImplSpec) => {
    if (spec.kind === "unary") methods.set(spec.method, spec);
  };
  return {
    handlers: router.handlers,
    service(service, implementation, options) {
      Object.values(createServiceImplSpec(service, implementation).methods).forEach(keep);
      router.service(service, implementation, options);
      return this;
    },
    rpc(method, implementation, options) {
      keep(createMethodImplSpec(method, implementation));
      router.rpc(method, implementation, options);
      return this;
    },
  };
}

/** Runs the interceptors and the handler. @throws ConnectError without its cause, as on a wire. */
async function answered(
  spec: UnarySpec,
  request: UnaryRequest,
  timeoutMs: HandlerContext["timeoutMs"],
  interceptors: readonly Interceptor[],
): Promise<UnaryResponse> {
  const handle = async (asked: UnaryRequest): Promise<UnaryResponse> => {
    const header = new Headers();
    const trailer = new Headers();
    const context: HandlerContext = {
      ...asked,
      timeoutMs,
      requestHeader: asked.header,
      responseHeader: header,
      responseTrailer: trailer,
      protocolName: "connect",
      values: asked.contextValues,
    };
    const answer = await spec.impl(asked.message, context);
    const message = create(spec.method.output, answer);
    return { stream: false, service: asked.service, method: spec.method, header, trailer, message };
  };
  const chain = interceptors.reduceRight<Parameters<Interceptor>[0]>(
    (next, interceptor) => interceptor(next),
    async (asked) => {
      if (asked.stream) throw new Error(`${spec.method.name} is called as a stream`);
      return await handle(asked);
    },
  );
  try {
    const response = await chain(request);
    if (response.stream) throw new Error(`${spec.method.name} answers a stream`);
    return response;
  } catch (reason) {
    const { rawMessage, code, metadata, details } = ConnectError.from(reason, Code.Internal);
    const error = new ConnectError(rawMessage, code, metadata);
    error.details = details;
    throw error;
  }
}

/** The receiver gets a copy, so neither side can change the object of the other. */
function copied<D extends DescMessage>(schema: D, message: Message) {
  return fromBinary(schema, toBinary<DescMessage>(schema, message), { readUnknownFields: false });
}
