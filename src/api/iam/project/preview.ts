import { create } from "@bufbuild/protobuf";
import {
  type PreviewDeleteProjectRequest,
  type PreviewDeleteProjectResponse,
  PreviewDeleteProjectResponseSchema,
} from "../../../gen/n0stack/iam/v1alpha1/project_pb.ts";
import { levelOf, type Ref } from "../../../util/ref.ts";
import type { Api, Call } from "../../core/context.ts";
import { ownerOf, ownerRef } from "../owner.ts";
import { projects } from "./collection.ts";
import { contentsOf, hashOf, obstaclesOf, refsOf } from "./contents.ts";
import { keysToGo, projectIn } from "./delete.ts";

const NAMES_MAX = 100;

/**
 * What a delete of the project with its objects would delete, and why it would be refused. Nodes are not asked.
 *
 * @throws N0Error `not_found`; `failed_precondition` for `default`, and for too many objects.
 */
export async function previewDeleteProject(
  api: Api,
  call: Call,
  { name }: PreviewDeleteProjectRequest,
): Promise<PreviewDeleteProjectResponse> {
  const ref = ownerRef(projects.kind, name);
  await projectIn(api, call, ref);
  const contents = await contentsOf(api, ref);
  const keys = await keysToGo(api, ref, contents);
  return create(PreviewDeleteProjectResponseSchema, {
    contents: [...refsOf(keys)].map(([kind, refs]) => ({
      kind,
      count: refs.length,
      names: refs.slice(0, NAMES_MAX).map((one) => nameFrom(name, one)),
    })),
    obstacles: [...(await obstaclesOf(api, contents))],
    contentsHash: hashOf(keys),
  });
}

/** As somebody in the project sees the object: with its place if that is another one. */
function nameFrom(project: string, { kind, scope, name }: Ref): string {
  if (scope === project || levelOf(kind) === "system") return name;
  const owner = ownerOf({ kind, scope, name });
  return `${owner === undefined ? "system" : `${owner.kind}/${owner.name}`}/${name}`;
}
