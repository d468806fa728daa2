import type { DescService } from "@bufbuild/protobuf";
import type { ConnectRouter, HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { caughtUp, type Datastore } from "../../../datastore/datastore.ts";

type Unary = (request: unknown, context: HandlerContext) => Promise<unknown>;
type Streaming = (request: unknown, context: HandlerContext) => AsyncIterable<unknown>;

/**
 * The same router, whose requests wait until this process has seen everything that was written before they
 * came. So a client that got an answer finds its result, whichever process it asks next.
 */
export function caughtUpRouter(router: ConnectRouter, datastore: Datastore): ConnectRouter {
  return {
    ...router,
    service(service, routes, options) {
      router.service(service, caughtUpRoutes(service, routes, datastore), options);
      return this;
    },
  };
}

function caughtUpRoutes<S extends DescService>(
  service: S,
  routes: Partial<ServiceImpl<S>>,
  datastore: Datastore,
): Partial<ServiceImpl<S>> {
  const all: { [name: string]: unknown } = { ...routes };
  for (const { localName, methodKind } of service.methods) {
    const handle = all[localName];
    if (handle === undefined) continue;
    all[localName] =
      methodKind === "unary"
        ? async (request: unknown, context: HandlerContext) => {
            await caughtUp(datastore);
            return await (handle as Unary)(request, context);
          }
        : async function* (request: unknown, context: HandlerContext) {
            await caughtUp(datastore);
            yield* (handle as Streaming)(request, context);
          };
  }
  return all as Partial<ServiceImpl<S>>;
}
