import { protoCollection } from "../../../datastore/collection.ts";
import { ProjectSchema } from "../../../gen/n0stack/iam/v1alpha1/project_pb.ts";

export const projects = protoCollection("project", ProjectSchema);
