import { protoCollection } from "../../../datastore/collection.ts";
import { SecurityGroupSchema } from "../../../gen/n0stack/network/v1alpha1/security_group_pb.ts";
import { referredGroups, SECURITY_GROUP } from "./names.ts";

export const securityGroups = protoCollection(SECURITY_GROUP, SecurityGroupSchema, {
  references: {
    security_group: ({ name, rules }) =>
      referredGroups(rules.map(({ remoteGroup }) => remoteGroup)).filter((other) => other !== name),
  },
});
