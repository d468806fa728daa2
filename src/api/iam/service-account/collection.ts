import { protoCollection } from "../../../datastore/collection.ts";
import { ServiceAccountSchema } from "../../../gen/n0stack/iam/v1alpha1/service_account_pb.ts";

export const serviceAccounts = protoCollection("service_account", ServiceAccountSchema);
