import { protoCollection } from "../../../datastore/collection.ts";
import { RoleSchema } from "../../../gen/n0stack/iam/v1alpha1/role_pb.ts";

export const roles = protoCollection("role", RoleSchema);
