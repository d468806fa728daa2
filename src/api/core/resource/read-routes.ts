import { create, type DescMessage, type DescMethod, type DescService } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { callerOf } from "../../../rpc/caller.ts";
import { notFound } from "../../../util/errors.ts";
import type { Api } from "../context.ts";
import { type ListRequest, listPage } from "../read/list.ts";
import { listWithShared, type WithShared } from "../read/list-shared.ts";
import { visibleOnly, watchObjects } from "../read/watch.ts";
import { isOfAnother } from "../saga/ambient.ts";
import { scopeOf } from "../scope.ts";
import { getVisible } from "../sharing.ts";
import type { Ownable, UserObject } from "./object.ts";
import type { Reading } from "./reading.ts";
import { sharingOf } from "./sharing-of.ts";

/** The routes that list, get and watch the objects of a resource, with the names of its service. */
export function readRoutes<T extends UserObject, A extends Api>(
  api: A,
  reading: Reading<T, A>,
): object {
  const { service, schema, word, collection, shows = [], touches } = reading;
  const kind = collection.kind;
  const get = readMethod(service, "Get");
  const list = readMethod(service, "List");
  const watch = readMethod(service, "Watch");
  const listField = fieldOf(list.output, schema);
  const watchField = fieldOf(watch.output, schema);
  const sharing = sharingOf(api, reading);
  const { viewIn, viewAll } = viewsOf(api, reading);
  const { isVisible } = reading;
  const visibleTo = ({ values }: HandlerContext) =>
    isVisible && ((object: T) => isVisible.call(reading, api, object, callerOf(values)));
  return {
    async [list.localName](request: ListRequest & Partial<WithShared>, call: HandlerContext) {
      const scope = scopeOf(call, kind);
      if (request.withShared === true && sharing !== undefined) {
        const page = await listWithShared(api, sharing.of, scope, request);
        const others = page.shared.map((stored) => sharing.view(stored, scope));
        const seen = [...(await viewAll(page.objects, scope)), ...(await Promise.all(others))];
        return create(list.output, { [listField]: seen, nextPageToken: page.nextPageToken });
      }
      const { objects, nextPageToken } = await listPage(
        api.records,
        collection,
        scope,
        request,
        visibleTo(call),
      );
      const seen = await viewAll(objects, scope);
      return create(list.output, { [listField]: seen, nextPageToken });
    },
    async [get.localName]({ name }: { readonly name: string }, call: HandlerContext) {
      const scope = scopeOf(call, kind);
      const stored = await (sharing === undefined
        ? api.records.find(collection, { kind, scope, name })
        : getVisible(api, sharing, { scope }, name));
      if (stored === undefined || visibleTo(call)?.(stored.value) === false) {
        throw notFound(word, name);
      }
      const isOwn = collection.refOf(stored.key).scope === scope;
      const seen = await (isOwn ? viewIn(scope)(stored.value) : sharing?.view(stored, scope));
      // The original answers the object itself. New services answer a message that holds it.
      return get.output.typeName === schema.typeName
        ? seen
        : create(get.output, { [fieldOf(get.output, schema)]: seen });
    },
    async *[watch.localName]({ name }: { readonly name: string }, call: HandlerContext) {
      const also = touches?.(api);
      const scope = scopeOf(call, kind);
      const changes = watchObjects(
        api,
        collection,
        { scope, name },
        viewIn(scope),
        call.signal,
        shows,
        also,
      );
      for await (const change of visibleOnly(changes, visibleTo(call))) {
        if (change.kind === "put") yield { [watchField]: change.object };
        else if (change.kind === "delete") yield { deletedName: change.name };
        else yield { synced: true };
      }
    },
  };
}

/** How the objects of a scope look, one and many. */
function viewsOf<T extends UserObject, A extends Api>(api: A, reading: Reading<T, A>) {
  const viewIn = (scope: string) => (stored: T) => {
    const object = asPending(reading, stored);
    return reading.view?.(api, object, scope) ?? object;
  };
  const viewAll = async (stored: readonly T[], scope: string) => {
    const objects = stored.map((object) => asPending(reading, object));
    const page = reading.viewPage?.(api, objects, scope);
    if (page !== undefined) return await page;
    const views = objects.map(viewIn(scope));
    // Most views are there at once. A promise for each of them would cost more than the view.
    const areThere = views.every((view): view is Awaited<T> => !(view instanceof Promise));
    return areThere ? views : await Promise.all(views.map(async (view) => await view));
  };
  return { viewIn, viewAll };
}

/** What a task of another transaction has made or changed is PENDING for everybody else until that commits. */
function asPending<T extends UserObject, A extends Api>({ pending }: Reading<T, A>, object: T): T {
  const { state, transactionId = "" }: Partial<Ownable> = object;
  if (pending === undefined || state === pending || !isOfAnother({ transactionId })) return object;
  return { ...object, state: pending };
}

function readMethod(
  { typeName, methods }: DescService,
  verb: "Get" | "List" | "Watch",
): DescMethod {
  const [method, ...others] = methods.filter(({ name }) => name.startsWith(verb));
  if (method !== undefined && others.length === 0) return method;
  throw new Error(`${typeName} must have one RPC that begins with ${verb}`);
}

/** The field of an answer that holds an object, or all of them. */
function fieldOf(answer: DescMessage, { typeName }: DescMessage): string {
  const field = answer.fields.find(({ message }) => message?.typeName === typeName);
  if (field === undefined) throw new Error(`${answer.typeName} has no field of a ${typeName}`);
  return field.localName;
}
