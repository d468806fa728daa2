import type { DescService } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { Collection } from "../../../datastore/collection.ts";
import type { Writes } from "../../../datastore/datastore.ts";
import { StepRegistry } from "../../../transaction/registry.ts";
import type { AnyStep, Retriable } from "../../../transaction/step.ts";
import type { Json } from "../../../util/json.ts";
import type { Api, SagaContext } from "../context.ts";
import type { Kind, Ownable, UserObject } from "./kind.ts";
import { type Reading, readRoutes } from "./read-routes.ts";

/** Every step that a journal may name. */
export interface ResourceSteps {
  readonly steps?: readonly AnyStep<SagaContext, Json, unknown, Writes, unknown>[];
  readonly retriables?: readonly Retriable<SagaContext, Json>[];
  /** Those after the pivot that only the journals of older versions name. */
  readonly formerRetriables?: readonly Retriable<SagaContext, Json>[];
}

/** One kind of the users' objects: all that the API is put together from. */
export interface Resource extends Kind {
  readonly service: DescService;
  readonly steps: ResourceSteps;
  /** By the RPC as code spells it. */
  routes(api: Api): object;
}

/** The RPCs that are the same for all resources, and derived. */
type ReadRoute = `list${string}` | `get${string}` | `watch${string}`;

/** What is said of a resource, in its `resource.ts`. */
export interface Definition<S extends DescService, T extends UserObject> extends Reading<T> {
  readonly service: S;
  readonly records?: readonly Collection<unknown>[];
  readonly traces?: readonly Collection<unknown>[];
  /** The state of an object that a transaction has marked as its own. */
  readonly pending?: T extends Ownable ? number : never;
  readonly givesRoom?: readonly (keyof S["method"] & string)[];
  readonly steps?: ResourceSteps;
  /** What is not derived: all but list, get and watch. */
  routes(api: Api): Omit<ServiceImpl<S>, ReadRoute>;
}

export function defineResource<S extends DescService, T extends UserObject>(
  definition: Definition<S, T>,
): Resource {
  const { service, word, collection, pending } = definition;
  const { records = [], traces = [], givesRoom = [], steps = {} } = definition;
  return {
    kind: collection.prefix.slice(0, -1),
    word,
    service,
    collection,
    records,
    traces,
    givesRoom: givesRoom.map((name) => service.method[name]!.name),
    steps,
    ...(pending === undefined ? {} : { pending: { of: ownable(collection), state: pending } }),
    routes: (api) => ({ ...readRoutes(api, definition), ...definition.routes(api) }),
  };
}

/** `Definition` lets only such objects be PENDING. */
function ownable(collection: Collection<unknown>): Collection<Ownable> {
  return collection as Collection<Ownable>;
}

export function stepRegistryOf(
  resources: readonly Pick<Resource, "steps">[],
): StepRegistry<SagaContext, Writes> {
  const registry = new StepRegistry<SagaContext, Writes>();
  for (const { steps } of resources) {
    registry
      .add(...(steps.steps ?? []))
      .addRetriable(...(steps.retriables ?? []))
      .addFormerRetriable(...(steps.formerRetriables ?? []));
  }
  return registry;
}
