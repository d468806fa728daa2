import type { DescService, Message } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { saysScope, scopeFieldOf, setScope } from "../../../datastore/collection.ts";
import { scopeOf } from "../scope.ts";
import type { Resource } from "./resource.ts";

type Handler = (request: Message, context: HandlerContext) => Promise<Message>;

/**
 * The same routes. An answer that is an object says its scope, also one that was stored for a repeat: a record
 * that was read says it already, and a new one does not.
 */
export function scopedRoutes<S extends DescService>(
  service: S,
  routes: ServiceImpl<S>,
  resources: readonly Pick<Resource, "collection" | "schema">[],
): ServiceImpl<S> {
  const scoped: { [name: string]: unknown } = { ...routes };
  for (const { methodKind, output, localName } of service.methods) {
    const of = resources.find(({ schema }) => schema.typeName === output.typeName);
    if (methodKind !== "unary" || of === undefined) continue;
    const { kind } = of.collection;
    const field = scopeFieldOf(kind, of.schema);
    if (field === undefined) continue;
    const handle = scoped[localName] as Handler;
    scoped[localName] = async (request: Message, context: HandlerContext) => {
      const answer = await handle(request, context);
      if (!saysScope(answer, field)) setScope(answer, field, scopeOf(context, kind));
      return answer;
    };
  }
  return scoped as ServiceImpl<S>;
}
