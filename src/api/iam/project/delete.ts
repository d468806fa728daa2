import { create } from "@bufbuild/protobuf";
import { merge, type Writes } from "../../../datastore/datastore.ts";
import {
  type DeleteProjectRequest,
  type DeleteProjectResponse,
  DeleteProjectResponseSchema,
  type Project,
  ProjectService,
} from "../../../gen/n0stack/iam/v1alpha1/project_pb.ts";
import { type Later, later, type Retriable } from "../../../transaction/step.ts";
import { N0Error, notFound } from "../../../util/errors.ts";
import { DEFAULT_SCOPE, formatRef, type Ref } from "../../../util/ref.ts";
import type { Api, Call, SagaContext, Tx } from "../../core/context.ts";
import { quotaOfProject, quotaRef, quotas } from "../../core/quota/collection.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { whereOf } from "../../core/where.ts";
import { objectsIn, removeQuota, throwIfHolds } from "../contents.ts";
import { ownerRef, refuseDefault } from "../owner.ts";
import { bindingsIn, removeBindings } from "../role-binding/with-others.ts";
import { projects } from "./collection.ts";
import {
  type Contents,
  contentsOf,
  hashOf,
  isContent,
  keysOf,
  obstaclesOf,
  throwIfObstructed,
} from "./contents.ts";
import { closed, getProject, projectSteps } from "./record.ts";

/** The last step of a delete with objects. It only writes records, and frees the name. */
export const forgetProject: Retriable<SagaContext, { readonly ref: Ref }> = {
  name: "project.forget",
  async act({ api, held }, { ref }, { transactionId }) {
    const stored = await api.records.find(projects, ref);
    if (stored?.value.transactionId !== transactionId) return;
    await api.datastore.batch(held.remove(projects, ref, stored.value));
  },
};

/**
 * Deletes a project with its role bindings and its quota, and with its objects if the request says so. First the
 * project closes: the write of an object that was planned before fails then, so what is found afterwards is all
 * that there is.
 *
 * What is only a record goes at the pivot, so that nobody can begin to use it, and nobody has rights in the
 * project any more. What is on nodes is PENDING from then on, and the project until all of it is removed.
 *
 * Who may make projects in the domain may delete them: a right in the project would end with it, and a repeat
 * of the request would be refused.
 *
 * @throws N0Error `not_found`, also for a project of another domain; `failed_precondition` for the project
 * `default`, for one that holds anything, and for objects that cannot go; `aborted`; `unavailable` if a node
 * does not answer.
 */
export async function deleteProject(
  api: Api,
  call: Call,
  request: DeleteProjectRequest,
): Promise<DeleteProjectResponse> {
  const { name, withObjects } = request;
  const ref = ownerRef(projects.kind, name);
  const keys = async () => {
    const contents = withObjects ? await contentsOf(api, ref) : [];
    return [...new Set([...keysAround(name), ...(await keysToGo(api, ref, contents))])];
  };
  const options = { method: ProjectService.method.deleteProject, keys };
  return await runSaga(api, call, options, async (tx) => {
    const project = await projectIn(api, call, ref);
    await throwUnlessDeletable(api, ref, request);
    const closedOne = closed(project, tx.id);
    await projectSteps.replace(tx, ref, project, closedOne);
    // Again: nothing is new from here on.
    await throwUnlessDeletable(api, ref, request);
    const contents = withObjects ? await contentsOf(api, ref) : [];
    throwIfNew(tx, await keysToGo(api, ref, contents));
    const { held } = tx.context;
    const laters: Later[] = [];
    const writes: Writes[] = [];
    for (const { kind, refs } of contents) {
      for (const part of (await kind.withProject?.remove(api, tx, refs)) ?? []) {
        if ("input" in part) laters.push(part);
        else writes.push(part);
      }
    }
    writes.push(removeBindings(held, await bindingsIn(api, name)));
    writes.push(await removeQuota(api, held, quotaOfProject(name)));
    const gone =
      laters.length === 0 ? held.remove(projects, ref, closedOne) : later(forgetProject, { ref });
    return await tx.answer(
      create(DeleteProjectResponseSchema),
      once(merge(...writes)),
      ...laters,
      gone,
    );
  });
}

/** @throws N0Error `not_found`, also for a project of another domain; `failed_precondition` for `default`. */
export async function projectIn(api: Api, call: Call, ref: Ref): Promise<Project> {
  if (ref.name === DEFAULT_SCOPE) throw refuseDefault(ref);
  const project = await getProject(api, ref);
  if (project.domain !== whereOf(call.values).domain) throw notFound("project", ref.name);
  return project;
}

function keysAround(name: string): readonly string[] {
  return [projects.key(ownerRef(projects.kind, name)), quotas.key(quotaRef(quotaOfProject(name)))];
}

/** The keys of everything that the project takes along. */
export async function keysToGo(
  api: Api,
  { name }: Ref,
  contents: readonly Contents[],
): Promise<readonly string[]> {
  const bindings = await bindingsIn(api, name);
  return [...bindings.map(({ key }) => key), ...(await keysOf(api, contents))];
}

async function throwUnlessDeletable(
  api: Api,
  ref: Ref,
  { withObjects, contentsHash }: DeleteProjectRequest,
): Promise<void> {
  if (!withObjects) {
    const toDo = "delete them first, or set with_objects to delete all of it";
    return throwIfHolds(ref, await objectsIn(api, ref.name, isContent), toDo);
  }
  const contents = await contentsOf(api, ref);
  if (contentsHash !== "" && contentsHash !== hashOf(await keysToGo(api, ref, contents))) {
    const message = `project "${ref.name}" has changed since its objects were shown: look at them again`;
    throw new N0Error("failed_precondition", message, { resource: formatRef(ref) });
  }
  throwIfObstructed(ref, await obstaclesOf(api, contents));
}

/** @throws N0Error `aborted` if there is an object whose key is not held. */
function throwIfNew({ context: { held } }: Tx, keys: readonly string[]): void {
  const own = new Set(held.keys);
  if (keys.every((key) => own.has(key))) return;
  throw new N0Error("aborted", "an object of the project has just been made: try again", {
    retryAfterMs: 100,
  });
}

/** A role binding of a service account in the project is removed for both. */
function once({ deletes = [], ...rest }: Writes): Writes {
  return { ...rest, deletes: [...new Set(deletes)] };
}
