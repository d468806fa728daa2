import {
  SecurityGroupSchema,
  SecurityGroupService,
} from "../../../gen/n0stack/network/v1alpha1/security_group_pb.ts";
import { defineResource } from "../../core/resource/resource.ts";
import type { Api } from "../context.ts";
import { applySecurityGroup } from "./apply.ts";
import { securityGroups } from "./collection.ts";
import { deleteSecurityGroup, withProject } from "./delete.ts";
import { setSecurityGroupVisibility, toWireElsewhere } from "./share.ts";

export const securityGroup = defineResource({
  word: "security group",
  service: SecurityGroupService,
  schema: SecurityGroupSchema,
  collection: securityGroups,
  marksOnly: true,
  quota: { security_groups: 1n },
  givesRoom: ["deleteSecurityGroup"],
  withProject,
  viewElsewhere: toWireElsewhere,
  routes: (api: Api) => ({
    applySecurityGroup: (request, call) => applySecurityGroup(api, call, request),
    deleteSecurityGroup: ({ name }, call) => deleteSecurityGroup(api, call, name),
    setSecurityGroupVisibility: (request, call) => setSecurityGroupVisibility(api, call, request),
  }),
});
