import type { DescMessage, DescService } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { AnyCollection, Objects } from "../../../datastore/collection.ts";
import type { Writes } from "../../../datastore/datastore.ts";
import { StepRegistry } from "../../../transaction/registry.ts";
import type { AnyStep, Retriable } from "../../../transaction/step.ts";
import { defined } from "../../../util/defined.ts";
import type { Json } from "../../../util/json.ts";
import type { Ref } from "../../../util/ref.ts";
import type { Audit } from "../audit/audit.ts";
import type { Api, Kind, LostObjects, SagaContext, WithProject } from "../context.ts";
import type { Amounts } from "../quota/amounts.ts";
import { type Counting, countObjects } from "../quota/counting.ts";
import { beginTask, commitTask, listTasks } from "../saga/tasks/task-steps.ts";
import type { Markable, Ownable, UserObject } from "./object.ts";
import { readRoutes } from "./read-routes.ts";
import type { Reading } from "./reading.ts";

/** Every step that a journal may name. */
interface ResourceSteps {
  readonly steps?: readonly AnyStep<SagaContext, Json, unknown, Writes, unknown>[];
  readonly retriables?: readonly Retriable<SagaContext, Json>[];
  /** The steps after the pivot that only the journals of older versions name. */
  readonly formerRetriables?: readonly Retriable<SagaContext, Json>[];
}

/** One kind of the users' objects: the API is assembled from these. `A` is the context of its area. */
export interface Resource<A extends Api = Api> extends Kind {
  readonly service: DescService;
  /** The message of an object. */
  readonly schema: DescMessage;
  readonly steps: ResourceSteps;
  /** The rules that must be true of it, for verify. */
  readonly audit?: Audit<A>;
  /** By the RPC, as code spells it. */
  routes(api: A): object;
}

/** The RPCs that are the same for all resources, and derived. */
type ReadRoute = `list${string}` | `get${string}` | `watch${string}`;

/** What a resource declares in its `resource.ts`. Members without a comment are described in `Kind`. */
interface Definition<S extends DescService, T extends UserObject, A extends Api>
  extends Reading<T, A> {
  readonly service: S;
  readonly records?: readonly AnyCollection[];
  readonly traces?: readonly AnyCollection[];
  /** The state of an object that a transaction has marked as its own. */
  readonly pending?: T extends Ownable ? number : never;
  /** Its objects have no such state, but a task of a transaction can mark them. */
  readonly marksOnly?: T extends Markable ? true : never;
  /** What an object takes of the quota of its project, or a function if that depends on the object. */
  readonly quota?: Amounts | ((object: T) => Amounts);
  /** The same for other records. */
  readonly counts?: readonly Counting[];
  readonly givesRoom?: readonly (keyof S["method"] & string)[];
  readonly steps?: ResourceSteps;
  readonly audit?: Audit<A>;
  onNodeLost?(api: A, nodeName: string): Promise<LostObjects>;
  readonly withProject?: WithProject;
  usesInterfaces?(api: A, ref: Ref, signal: AbortSignal): Promise<boolean>;
  /** The RPCs that are not derived: all but list, get and watch. */
  routes(api: A): Omit<ServiceImpl<S>, ReadRoute>;
}

export function defineResource<S extends DescService, T extends UserObject, A extends Api = Api>(
  definition: Definition<S, T, A>,
): Resource<A> {
  const { service, schema, word, collection, pending, onNodeLost, usesInterfaces } = definition;
  const { withProject } = definition;
  const { records = [], traces = [], givesRoom = [], steps = {}, audit } = definition;
  const { quota, counts = [] } = definition;
  // A value from the collection has its type.
  const of = collection as Objects<UserObject> as Objects<UserObject & Markable>;
  const marks = { of, ...defined({ state: pending }) };
  return {
    kind: collection.kind,
    word,
    service,
    schema,
    collection,
    records,
    traces,
    counts: quota === undefined ? counts : [countObjects(collection, quota), ...counts],
    givesRoom: givesRoom.map((name) => service.method[name]!.name),
    steps,
    ...(pending === undefined && definition.marksOnly === undefined ? {} : { pending: marks }),
    ...defined({ onNodeLost, usesInterfaces, withProject, audit }),
    routes: (api) => ({ ...readRoutes(api, definition), ...definition.routes(api) }),
  };
}

export function stepRegistryOf(
  resources: readonly Pick<Resource, "steps">[],
  registry = new StepRegistry<SagaContext, Writes>(),
): StepRegistry<SagaContext, Writes> {
  registry.add(listTasks).add(beginTask).add(commitTask);
  for (const { steps } of resources) {
    registry
      .add(...(steps.steps ?? []))
      .addRetriable(...(steps.retriables ?? []))
      .addFormerRetriable(...(steps.formerRetriables ?? []));
  }
  return registry;
}
