import { create } from "@bufbuild/protobuf";
import {
  type DeleteProjectResponse,
  DeleteProjectResponseSchema,
  ProjectService,
} from "../../../gen/n0stack/iam/v1alpha1/project_pb.ts";
import { notFound } from "../../../util/errors.ts";
import { DEFAULT_SCOPE, levelOf, type Ref } from "../../../util/ref.ts";
import type { Api, Call } from "../../core/context.ts";
import { quotaOfProject, quotaRef, quotas } from "../../core/quota/collection.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { whereOf } from "../../core/where.ts";
import { objectsIn, removeQuota, throwIfHolds } from "../contents.ts";
import { ownerRef, refuseDefault } from "../owner.ts";
import { roleBindings } from "../role-binding/collection.ts";
import { bindingsIn, removeBindings } from "../role-binding/with-others.ts";
import { projects } from "./collection.ts";
import { closed, getProject, projectSteps } from "./record.ts";

/**
 * Deletes an empty project, with its role bindings and its quota. First the project closes: the write of an object that was
 * planned before fails then, so what is found afterwards is all that there is.
 *
 * Who may make projects in the domain may delete them: a right in the project would end with it, and a repeat
 * of the request would be refused.
 *
 * @throws N0Error `not_found`, also for a project of another domain; `failed_precondition` for the project `default`, and for one that holds
 * anything.
 */
export async function deleteProject(
  api: Api,
  call: Call,
  name: string,
): Promise<DeleteProjectResponse> {
  const ref = ownerRef(projects.kind, name);
  const keys = async () => [
    projects.key(ref),
    quotas.key(quotaRef(quotaOfProject(name))),
    ...(await bindingsIn(api, name)).map(({ key }) => key),
  ];
  const options = { method: ProjectService.method.deleteProject, keys };
  return await runSaga(api, call, options, async (tx) => {
    const project = await getProject(api, ref);
    if (project.domain !== whereOf(call.values).domain) throw notFound("project", name);
    if (name === DEFAULT_SCOPE) throw refuseDefault(ref);
    await throwUnlessEmpty(api, ref);
    const closedOne = closed(project, tx.id);
    await projectSteps.replace(tx, ref, project, closedOne);
    await throwUnlessEmpty(api, ref);
    const { held } = tx.context;
    const withoutBindings = removeBindings(held, await bindingsIn(api, name));
    const withoutQuota = await removeQuota(api, held, quotaOfProject(name));
    const removed = held.remove(projects, ref, closedOne);
    const answer = create(DeleteProjectResponseSchema);
    return await tx.answer(answer, removed, withoutBindings, withoutQuota);
  });
}

async function throwUnlessEmpty(api: Api, ref: Ref): Promise<void> {
  const isContent = (kind: string) => levelOf(kind) === "project" && kind !== roleBindings.kind;
  throwIfHolds(ref, await objectsIn(api, ref.name, isContent));
}
