import { create } from "@bufbuild/protobuf";
import { projects } from "../src/api/iam/project/collection.ts";
import { put } from "../src/datastore/collection.ts";
import type { Writes } from "../src/datastore/datastore.ts";
import { ProjectSchema } from "../src/gen/n0stack/iam/v1alpha1/project_pb.ts";
import { PROJECT_HEADER } from "../src/util/project.ts";
import { DEFAULT_SCOPE, SYSTEM_SCOPE } from "../src/util/ref.ts";
import { type World, withHeaders } from "./world.ts";

export function newProject(name: string, domain = DEFAULT_SCOPE): Writes {
  const ref = { kind: projects.kind, scope: SYSTEM_SCOPE, name };
  return put(projects, [ref], create(ProjectSchema, { name, domain }));
}

/** Makes the project. @returns the same world, whose clients work in it. */
export async function inProject(world: World, name: string, domain?: string): Promise<World> {
  await world.opened.api.datastore.batch(newProject(name, domain));
  await world.seen();
  return withHeaders(world, { [PROJECT_HEADER]: name });
}
