import type { DescMethod, DescMethodUnary, DescService, Message } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { Call } from "../context.ts";
import type { KeyedRequests } from "./keyed-requests.ts";

type Handler = (request: Message, call: Call) => Promise<unknown>;

/** The same routes. Those that change something use the idempotency key. */
export function keyedRoutes<S extends DescService>(
  service: S,
  routes: object,
  requests: KeyedRequests,
): ServiceImpl<S> {
  const keyed: { [name: string]: unknown } = { ...routes };
  for (const method of service.methods) {
    if (isChange(method)) {
      keyed[method.localName] = keyedHandler(method, keyed[method.localName] as Handler, requests);
    }
  }
  return keyed as ServiceImpl<S>;
}

function isChange(method: DescMethod): method is DescMethodUnary {
  const isRead = method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
  return method.methodKind === "unary" && !isRead;
}

function keyedHandler(method: DescMethodUnary, handle: Handler, requests: KeyedRequests) {
  return (request: Message, context: HandlerContext) =>
    requests.run(method, request, context, (call) => handle(request, call));
}
