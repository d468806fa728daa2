import { protoCollection } from "../../../datastore/collection.ts";
import { DomainSchema } from "../../../gen/n0stack/iam/v1alpha1/domain_pb.ts";

export const domains = protoCollection("domain", DomainSchema);
