import { clone, create } from "@bufbuild/protobuf";
import { notNewlyReferenced } from "../../../datastore/references.ts";
import {
  type SecurityGroup,
  SecurityGroupSchema,
  SecurityGroupService,
  type SetSecurityGroupVisibilityRequest,
  type SetSecurityGroupVisibilityResponse,
  SetSecurityGroupVisibilityResponseSchema,
} from "../../../gen/n0stack/network/v1alpha1/security_group_pb.ts";
import type { Ref } from "../../../util/ref.ts";
import type { Call } from "../../core/context.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { refOf } from "../../core/scope.ts";
import { checkVisibility, sharedAt, throwIfUsedElsewhere } from "../../core/sharing.ts";
import type { Api } from "../context.ts";
import { securityGroups } from "./collection.ts";
import { getSecurityGroup } from "./delete.ts";

/**
 * Shares a group of the call's project with others, or no longer.
 *
 * @throws N0Error `invalid_argument`; `not_found`; `failed_precondition` while a project uses it that would no
 * longer see it; `aborted` if somebody begins to use it in the meantime.
 */
export async function setSecurityGroupVisibility(
  api: Api,
  call: Call,
  request: SetSecurityGroupVisibilityRequest,
): Promise<SetSecurityGroupVisibilityResponse> {
  checkVisibility(request);
  const ref = refOf(call, securityGroups, request.name);
  const method = SecurityGroupService.method.setSecurityGroupVisibility;
  const options = { method, keys: [securityGroups.key(ref)], waits: true };
  return await runSaga(api, call, options, async (tx) => {
    const before = await getSecurityGroup(api, ref);
    const nobodyBegan = await notNewlyReferenced(api.records, ref);
    const shared = sharedAt(api.clock.nowMs(), request);
    await throwIfUsedElsewhere(api, ref, "security group", shared);
    const group = Object.assign(clone(SecurityGroupSchema, before), shared);
    return await tx.answer(
      create(SetSecurityGroupVisibilityResponseSchema, { securityGroup: group }),
      tx.context.held.put(securityGroups, ref, group, before),
      nobodyBegan,
    );
  });
}

/** As a project sees it with which it is shared: not who else does, and not which groups its rules name. */
export function toWireElsewhere(_api: Api, group: SecurityGroup, _ref: Ref, _project: string) {
  const seen = clone(SecurityGroupSchema, group);
  seen.annotations = {};
  seen.visibleTo = [];
  delete seen.visibleSince;
  seen.rules = seen.rules.filter(({ remoteGroup }) => remoteGroup === "");
  return seen;
}
