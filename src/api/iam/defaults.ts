import { create } from "@bufbuild/protobuf";
import { putNew } from "../../datastore/collection.ts";
import { ConflictError, type Datastore, merge } from "../../datastore/datastore.ts";
import { DomainSchema } from "../../gen/n0stack/iam/v1alpha1/domain_pb.ts";
import { ProjectSchema } from "../../gen/n0stack/iam/v1alpha1/project_pb.ts";
import { DEFAULT_SCOPE, SYSTEM_SCOPE } from "../../util/ref.ts";
import { domains } from "./domain/collection.ts";
import { projects } from "./project/collection.ts";

/** Makes the domain and the project `default` at the first start. */
export async function ensureDefaults(datastore: Datastore): Promise<void> {
  const name = DEFAULT_SCOPE;
  const project = { kind: projects.kind, scope: SYSTEM_SCOPE, name };
  if ((await datastore.get(projects.key(project))) !== undefined) return;
  const domain = { ...project, kind: domains.kind };
  try {
    await datastore.batch(
      merge(
        putNew(domains, [domain], create(DomainSchema, { name })),
        putNew(projects, [project], create(ProjectSchema, { name, domain: name })),
      ),
    );
  } catch (reason) {
    // Another process was faster.
    if (!(reason instanceof ConflictError)) throw reason;
  }
}
