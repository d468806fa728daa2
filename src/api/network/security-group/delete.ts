import { create } from "@bufbuild/protobuf";
import type { Writes } from "../../../datastore/datastore.ts";
import { referrersOf, unreferenced } from "../../../datastore/references.ts";
import {
  type DeleteSecurityGroupResponse,
  DeleteSecurityGroupResponseSchema,
  type SecurityGroup,
  SecurityGroupService,
} from "../../../gen/n0stack/network/v1alpha1/security_group_pb.ts";
import { N0Error, notFound } from "../../../util/errors.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import type { Call, Tx } from "../../core/context.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { staysReferrer, willDelete } from "../../core/saga/tasks/going.ts";
import { refOf } from "../../core/scope.ts";
import { throwIfUsedElsewhere } from "../../core/sharing.ts";
import type { Api } from "../context.ts";
import { securityGroups } from "./collection.ts";

const SHOWN_MAX = 5;

/** @throws N0Error `not_found`; `failed_precondition` while a nic is in it, or a rule of another group names it. */
export async function deleteSecurityGroup(
  api: Api,
  call: Call,
  name: string,
): Promise<DeleteSecurityGroupResponse> {
  const ref = refOf(call, securityGroups, name);
  const method = SecurityGroupService.method.deleteSecurityGroup;
  const options = { method, keys: [securityGroups.key(ref)] };
  return await runSaga(api, call, options, async (tx) => {
    const group = await getSecurityGroup(api, ref);
    const nobodyRefers = await unreferenced(api.records, ref);
    await throwIfUsed(api, ref);
    willDelete(ref);
    const answer = await tx.answer(
      create(DeleteSecurityGroupResponseSchema),
      tx.context.held.remove(securityGroups, ref, group),
      nobodyRefers,
    );
    await api.groupPushes.groupReached(ref, tx.signal);
    return answer;
  });
}

export async function getSecurityGroup(api: Api, ref: Ref): Promise<SecurityGroup> {
  const stored = await api.records.find(securityGroups, ref);
  if (stored === undefined) throw notFound("security group", ref.name);
  return stored.value;
}

async function throwIfUsed(api: Api, ref: Ref): Promise<void> {
  const users = (await referrersOf(api.records, ref)).filter((user) => staysReferrer(user, ref));
  const own = users.filter(({ scope }) => scope === ref.scope);
  if (own.length === 0) return await throwIfUsedElsewhere(api, ref, "security group");
  const words = new Map(api.kinds.map(({ kind, word }) => [kind, word]));
  const shown = own.slice(0, SHOWN_MAX).map(({ kind, name }) => `${words.get(kind)} "${name}"`);
  const more = own.length > SHOWN_MAX ? " and others" : "";
  throw new N0Error(
    "failed_precondition",
    `security group "${ref.name}" is used by ${shown.join(", ")}${more}: put their nics into other groups, or change their rules first`,
    { resource: formatRef(ref) },
  );
}

/** Groups go with their project, unless another project uses one. */
export const withProject = {
  async check(api: Api, ref: Ref) {
    await throwIfUsedElsewhere(api, ref, "security group");
  },
  async remove(api: Api, tx: Tx, refs: readonly Ref[]) {
    const writes: Writes[] = [];
    for (const ref of refs) {
      const nobodyRefers = await unreferenced(api.records, ref);
      await throwIfUsedElsewhere(api, ref, "security group");
      const group = await getSecurityGroup(api, ref);
      writes.push(tx.context.held.remove(securityGroups, ref, group), nobodyRefers);
    }
    return writes;
  },
};
