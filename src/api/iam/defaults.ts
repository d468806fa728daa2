import { create, equals } from "@bufbuild/protobuf";
import { type Objects, putOf } from "../../datastore/collection.ts";
import { ConflictError, type Datastore, merge, type Writes } from "../../datastore/datastore.ts";
import { referenceWrites } from "../../datastore/references.ts";
import { Domain_State, DomainSchema } from "../../gen/n0stack/iam/v1alpha1/domain_pb.ts";
import { Project_State, ProjectSchema } from "../../gen/n0stack/iam/v1alpha1/project_pb.ts";
import { type Role, RoleSchema } from "../../gen/n0stack/iam/v1alpha1/role_pb.ts";
import { DEFAULT_SCOPE } from "../../util/ref.ts";
import { BUILT_IN_ROLES, type BuiltInRole } from "./access/built-in-roles.ts";
import { domains } from "./domain/collection.ts";
import { ownerRef } from "./owner.ts";
import { projects } from "./project/collection.ts";
import { roles } from "./role/collection.ts";

/**
 * Makes what is always there: the domain and the project `default`, and the built-in roles as this version
 * defines them.
 */
export async function ensureDefaults(datastore: Datastore): Promise<void> {
  const name = DEFAULT_SCOPE;
  const domain = create(DomainSchema, { name, state: Domain_State.AVAILABLE });
  const project = create(ProjectSchema, { name, domain: name, state: Project_State.AVAILABLE });
  const writes = await Promise.all([
    missing(datastore, domains, domain),
    missing(datastore, projects, project),
    ...BUILT_IN_ROLES.map((role) => missing(datastore, roles, recordOf(role), isSame)),
  ]);
  const all = merge(...writes);
  if (all.puts === undefined || all.puts.length === 0) return;
  try {
    await datastore.batch(all);
  } catch (reason) {
    // Another process was faster.
    if (!(reason instanceof ConflictError)) throw reason;
  }
}

/** The write of the object, unless it is there. */
async function missing<T extends { readonly name: string }>(
  datastore: Datastore,
  of: Objects<T>,
  object: T,
  suffices: (present: T, wanted: T) => boolean = () => true,
): Promise<Writes> {
  const key = of.key(ownerRef(of.kind, object.name));
  const present = await datastore.get(key);
  if (present !== undefined && suffices(of.decode(present.value), object)) return {};
  const written = {
    puts: [putOf(of, key, object)],
    conditions: [{ key, revision: present?.revision ?? 0 }],
  };
  return present === undefined
    ? merge(written, referenceWrites(of, key, undefined, object))
    : written;
}

function recordOf({ name, description, permissions }: BuiltInRole): Role {
  return create(RoleSchema, { name, description, permissions: [...permissions], builtIn: true });
}

function isSame(present: Role, wanted: Role): boolean {
  return equals(RoleSchema, present, wanted);
}
