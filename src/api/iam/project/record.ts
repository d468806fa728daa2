import { clone } from "@bufbuild/protobuf";
import {
  type Project,
  Project_State,
  ProjectSchema,
} from "../../../gen/n0stack/iam/v1alpha1/project_pb.ts";
import { notFound } from "../../../util/errors.ts";
import type { Ref } from "../../../util/ref.ts";
import type { Reader } from "../../core/context.ts";
import { recordSteps } from "../../core/saga/record-steps.ts";
import { projects } from "./collection.ts";

export const projectSteps = recordSteps(projects);

/** @throws N0Error `not_found`. */
export async function getProject({ records }: Reader, ref: Ref): Promise<Project> {
  const stored = await records.find(projects, ref);
  if (stored === undefined) throw notFound("project", ref.name);
  return stored.value;
}

/** The project as the transaction that deletes it leaves it until then. It takes no new objects. */
export function closed(project: Project, transactionId: string): Project {
  const copy = clone(ProjectSchema, project);
  copy.state = Project_State.PENDING;
  copy.transactionId = transactionId;
  return copy;
}
