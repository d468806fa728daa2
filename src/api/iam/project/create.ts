import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { unchanged } from "../../../datastore/collection.ts";
import {
  type CreateProjectRequest,
  type CreateProjectResponse,
  CreateProjectResponseSchema,
  Project_State,
  ProjectService,
} from "../../../gen/n0stack/iam/v1alpha1/project_pb.ts";
import { N0Error, notFound } from "../../../util/errors.ts";
import { formatRef } from "../../../util/ref.ts";
import type { Api, Call } from "../../core/context.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { whereOf } from "../../core/where.ts";
import { domains } from "../domain/collection.ts";
import { ownerRef, throwIfDeleted, throwUnlessOwnerName } from "../owner.ts";
import { projects } from "./collection.ts";

/**
 * The name of a project is unique in the cloud, because names on nodes are made of it.
 *
 * @throws N0Error `invalid_argument`; `already_exists`; `not_found` for the domain.
 */
export async function createProject(
  api: Api,
  call: Call,
  { name, annotations, labels, description }: CreateProjectRequest,
): Promise<CreateProjectResponse> {
  throwUnlessOwnerName(name);
  const ref = ownerRef(projects.kind, name);
  const domainRef = ownerRef(domains.kind, whereOf(call.values).domain);
  const options = { method: ProjectService.method.createProject, keys: [projects.key(ref)] };
  return await runSaga(api, call, options, async (tx) => {
    if ((await api.records.find(projects, ref)) !== undefined) {
      throw new N0Error("already_exists", `project "${name}" exists already`, {
        resource: formatRef(ref),
      });
    }
    const domain = await api.records.find(domains, domainRef);
    if (domain === undefined) throw notFound("domain", domainRef.name);
    throwIfDeleted(domainRef, domain.value);
    const state = Project_State.AVAILABLE;
    const about = { name, annotations, labels, description };
    const createdAt = timestampFromMs(api.clock.nowMs());
    const answer = create(CreateProjectResponseSchema, {
      project: { ...about, domain: domainRef.name, state, createdAt },
    });
    const record = tx.context.held.put(projects, ref, answer.project!, undefined);
    return await tx.answer(answer, record, unchanged(domains, [domainRef], domain.revision));
  });
}
