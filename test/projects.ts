import { create } from "@bufbuild/protobuf";
import { domains } from "../src/api/iam/domain/collection.ts";
import { projects } from "../src/api/iam/project/collection.ts";
import { roleBindings } from "../src/api/iam/role-binding/collection.ts";
import { put } from "../src/datastore/collection.ts";
import { merge, type Writes } from "../src/datastore/datastore.ts";
import { referenceWrites } from "../src/datastore/references.ts";
import { Domain_State, DomainSchema } from "../src/gen/n0stack/iam/v1alpha1/domain_pb.ts";
import { Project_State, ProjectSchema } from "../src/gen/n0stack/iam/v1alpha1/project_pb.ts";
import { RoleBindingSchema } from "../src/gen/n0stack/iam/v1alpha1/role_binding_pb.ts";
import { PROJECT_HEADER } from "../src/util/project.ts";
import { DEFAULT_SCOPE, SYSTEM_SCOPE } from "../src/util/ref.ts";
import { type World, withHeaders } from "./world.ts";

/** The project, and its domain. */
export function newProject(name: string, domain = DEFAULT_SCOPE): Writes {
  const ref = { kind: projects.kind, scope: SYSTEM_SCOPE, name };
  const domainRef = { kind: domains.kind, scope: SYSTEM_SCOPE, name: domain };
  const project = create(ProjectSchema, { name, domain, state: Project_State.AVAILABLE });
  return merge(
    put(projects, [ref], project),
    referenceWrites(projects, projects.key(ref), undefined, project),
    put(
      domains,
      [domainRef],
      create(DomainSchema, { name: domain, state: Domain_State.AVAILABLE }),
    ),
  );
}

/** Makes the project. @returns the same world, whose clients work in it. */
export async function inProject(world: World, name: string, domain?: string): Promise<World> {
  await world.opened.api.datastore.batch(newProject(name, domain));
  await world.seen();
  return withHeaders(world, { [PROJECT_HEADER]: name });
}

/** Gives somebody the role `owner` in a project. */
export function tenantBinding(member: string, project: string): Writes {
  const binding = { name: "owner", member, role: "owner", scope: `project/${project}` };
  const ref = { kind: roleBindings.kind, scope: project, name: binding.name };
  return put(roleBindings, [ref], create(RoleBindingSchema, binding));
}
