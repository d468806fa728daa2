import { create, type DescMessage, type DescMethod, type DescService } from "@bufbuild/protobuf";
import type { Collection } from "../../../datastore/collection.ts";
import { notFound } from "../../../util/errors.ts";
import type { Api } from "../context.ts";
import { type ListRequest, listPage } from "../read/list.ts";
import { type TouchSource, watchObjects } from "../read/watch.ts";
import type { UserObject } from "./object.ts";

/** How a resource's objects are read. */
export interface Reading<T, A extends Api> {
  /** The message of an object. */
  readonly schema: DescMessage;
  readonly service: DescService;
  readonly word: string;
  readonly collection: Collection<T>;
  /** The object as clients see it; as its record says, unless given. */
  view?(api: A, object: T): T | Promise<T>;
  /** The same of a page of them, where that takes fewer reads than one after the other. */
  viewPage?(api: A, objects: readonly T[]): Promise<readonly T[]>;
  /** Collections under the object's name first, whose changes show in it. */
  readonly shows?: readonly Pick<Collection<unknown>, "prefix" | "parts">[];
  /** What else changes how an object looks. */
  touches?(api: A): TouchSource;
}

/** The routes that list, get and watch a resource's objects, by what its service calls them. */
export function readRoutes<T extends UserObject, A extends Api>(
  api: A,
  reading: Reading<T, A>,
): object {
  const { service, schema, word, collection, shows = [], touches } = reading;
  const list = readMethod(service, "List");
  const watch = readMethod(service, "Watch");
  const listField = fieldOf(list.output, schema);
  const watchField = fieldOf(watch.output, schema);
  const view = async (object: T) => (await reading.view?.(api, object)) ?? object;
  const viewAll = async (objects: readonly T[]) =>
    (await reading.viewPage?.(api, objects)) ?? (await Promise.all(objects.map(view)));
  return {
    async [list.localName](request: ListRequest) {
      const { objects, nextPageToken } = await listPage(api.records, collection, request);
      const seen = [...(await viewAll(objects))];
      return create(list.output, { [listField]: seen, nextPageToken });
    },
    async [readMethod(service, "Get").localName]({ name }: { readonly name: string }) {
      const stored = await api.records.find(collection, name);
      if (stored === undefined) throw notFound(word, name);
      return await view(stored.value);
    },
    async *[watch.localName](
      { name }: { readonly name: string },
      { signal }: { readonly signal: AbortSignal },
    ) {
      const also = touches?.(api);
      for await (const change of watchObjects(api, collection, name, view, signal, shows, also)) {
        if (change.kind === "put") yield { [watchField]: change.object };
        else if (change.kind === "delete") yield { deletedName: change.name };
        else yield { synced: true };
      }
    },
  };
}

function readMethod(
  { typeName, methods }: DescService,
  verb: "Get" | "List" | "Watch",
): DescMethod {
  const [method, ...others] = methods.filter(({ name }) => name.startsWith(verb));
  if (method !== undefined && others.length === 0) return method;
  throw new Error(`${typeName} must have one RPC that begins with ${verb}`);
}

/** The field of an answer that has an object, or all. */
function fieldOf(answer: DescMessage, { typeName }: DescMessage): string {
  const field = answer.fields.find(({ message }) => message?.typeName === typeName);
  if (field === undefined) throw new Error(`${answer.typeName} has no field of a ${typeName}`);
  return field.localName;
}
