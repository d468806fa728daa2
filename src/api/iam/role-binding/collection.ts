import { protoCollection } from "../../../datastore/collection.ts";
import { RoleBindingSchema } from "../../../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";

export const roleBindings = protoCollection("role_binding", RoleBindingSchema);
