import { create } from "@bufbuild/protobuf";
import { referTo } from "../../../datastore/references.ts";
import {
  type ApplySecurityGroupRequest,
  type ApplySecurityGroupResponse,
  ApplySecurityGroupResponseSchema,
  SecurityGroupSchema,
  SecurityGroupService,
  SecurityRuleSchema,
} from "../../../gen/n0stack/network/v1alpha1/security_group_pb.ts";
import type { Ref } from "../../../util/ref.ts";
import { checkSecurityRule } from "../../../util/security-rule.ts";
import type { Call } from "../../core/context.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { refOf } from "../../core/scope.ts";
import { sharingOf } from "../../core/sharing.ts";
import type { Api } from "../context.ts";
import { securityGroups } from "./collection.ts";
import { readNamed } from "./named.ts";
import { ownNames } from "./names.ts";

/**
 * Makes a group, or replaces its rules. The nodes get them after the commit, as far as they answer: nothing of that
 * has to be undone.
 *
 * @throws N0Error `invalid_argument`; `not_found` for a group that a rule names.
 */
export async function applySecurityGroup(
  api: Api,
  call: Call,
  request: ApplySecurityGroupRequest,
): Promise<ApplySecurityGroupResponse> {
  const { name, annotations, labels, logDropped } = request;
  const ref = refOf(call, securityGroups, name);
  const rules = rulesOf(ref, request);
  const method = SecurityGroupService.method.applySecurityGroup;
  const options = { method, keys: [securityGroups.key(ref)] };
  return await runSaga(api, call, options, async (tx) => {
    const present = (await api.records.find(securityGroups, ref))?.value;
    if (present !== undefined && request.onlyIfNew) {
      return await tx.answer(create(ApplySecurityGroupResponseSchema, { securityGroup: present }));
    }
    const others = rules.map(({ remoteGroup }) => remoteGroup).filter((other) => other !== name);
    const named = await readNamed(api, ref, others);
    const shared = sharingOf(present);
    const fields = { name, annotations, labels, rules, logDropped, ...shared };
    const group = create(SecurityGroupSchema, { ...fields, project: ref.scope });
    const answer = await tx.answer(
      create(ApplySecurityGroupResponseSchema, { securityGroup: group }),
      tx.context.held.put(securityGroups, ref, group, present),
      ...named.map(({ key, revision }) => referTo(key, revision)),
    );
    await api.groupPushes.groupReached(ref, tx.signal);
    return answer;
  });
}

function rulesOf(ref: Ref, { rules }: ApplySecurityGroupRequest) {
  return rules.map((rule, i) => {
    const { $typeName: _, $unknown: __, ...fields } = rule;
    const checked = checkSecurityRule(`rules[${i}].`, fields);
    const [remoteGroup = ""] = rule.remoteGroup === "" ? [] : ownNames(ref, [rule.remoteGroup]);
    return create(SecurityRuleSchema, { ...checked, remoteGroup });
  });
}
