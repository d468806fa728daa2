import { protoCollection } from "../../../datastore/collection.ts";
import { ProjectSchema } from "../../../gen/n0stack/iam/v1alpha1/project_pb.ts";
import { SYSTEM_SCOPE } from "../../../util/ref.ts";

export const projects = protoCollection("project", ProjectSchema, {
  refs: ({ domain }) => [{ kind: "domain", scope: SYSTEM_SCOPE, name: domain }],
});
