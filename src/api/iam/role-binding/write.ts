import { create } from "@bufbuild/protobuf";
import { unchanged } from "../../../datastore/collection.ts";
import type { Writes } from "../../../datastore/datastore.ts";
import { referTo } from "../../../datastore/references.ts";
import {
  type CreateRoleBindingRequest,
  type CreateRoleBindingResponse,
  CreateRoleBindingResponseSchema,
  type DeleteRoleBindingResponse,
  DeleteRoleBindingResponseSchema,
  RoleBindingService,
} from "../../../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";
import { callerOf, NOBODY } from "../../../rpc/caller.ts";
import { invalid, N0Error, notFound } from "../../../util/errors.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import type { Call } from "../../core/context.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { refOf } from "../../core/scope.ts";
import { whereOf } from "../../core/where.ts";
import { type Place, parsePlace, SYSTEM } from "../access/place.ts";
import type { Api } from "../context.ts";
import { domains } from "../domain/collection.ts";
import { ownerOf, ownerRef, throwIfDeleted } from "../owner.ts";
import { roles } from "../role/collection.ts";
import { throwUnlessGivable } from "../role/permissions.ts";
import { serviceAccounts } from "../service-account/collection.ts";
import { users } from "../user/collection.ts";
import { roleBindings } from "./collection.ts";
import { memberObject, memberText, wrongInMember } from "./member.ts";

/**
 * @throws N0Error `already_exists`; `failed_precondition` if the role or the member does not exist;
 * `permission_denied` if the caller would give more than he may do there.
 */
export async function createRoleBinding(
  api: Api,
  call: Call,
  request: CreateRoleBindingRequest,
): Promise<CreateRoleBindingResponse> {
  const { name, annotations, labels, role } = request;
  const wrong = wrongInMember(request.member);
  if (wrong !== undefined) throw invalid("member", wrong);
  const member = memberText(request.member);
  const { place: scope } = whereOf(call.values);
  const ref = refOf(call, roleBindings, name);
  const options = {
    method: RoleBindingService.method.createRoleBinding,
    keys: [roleBindings.key(ref)],
  };
  return await runSaga(api, call, options, async (tx) => {
    if ((await api.records.find(roleBindings, ref)) !== undefined) {
      throw new N0Error("already_exists", `role binding "${name}" exists already in ${scope}`, {
        resource: formatRef(ref),
      });
    }
    const roleStays = await roleFor(api, call, role, parsePlace(scope) ?? SYSTEM);
    const memberStays = await memberFor(api, call, member);
    const answer = create(CreateRoleBindingResponseSchema, {
      roleBinding: { name, annotations, labels, role, member, scope },
    });
    const record = tx.context.held.put(roleBindings, ref, answer.roleBinding!, undefined);
    return await tx.answer(answer, record, roleStays, memberStays);
  });
}

/** @throws N0Error `not_found`. */
export async function deleteRoleBinding(
  api: Api,
  call: Call,
  name: string,
): Promise<DeleteRoleBindingResponse> {
  const ref = refOf(call, roleBindings, name);
  const options = {
    method: RoleBindingService.method.deleteRoleBinding,
    keys: [roleBindings.key(ref)],
  };
  return await runSaga(api, call, options, async (tx) => {
    const stored = await api.records.find(roleBindings, ref);
    if (stored === undefined) throw notFound("role binding", name);
    const removed = tx.context.held.remove(roleBindings, ref, stored.value);
    return await tx.answer(create(DeleteRoleBindingResponseSchema), removed);
  });
}

/** The role exists with these permissions until the batch that gives it. */
async function roleFor(api: Api, call: Call, name: string, at: Place): Promise<Writes> {
  const ref = ownerRef(roles.kind, name);
  const stored = await api.records.find(roles, ref);
  if (stored === undefined) throw missing("role", ref);
  // The code says what a built-in role allows, whichever version wrote the record.
  const permissions = api.grants.role(name)?.patterns ?? stored.value.permissions;
  throwUnlessGivable(api, call, ref, [...permissions, ...stored.value.permissions], at);
  return referTo(stored.key, stored.revision);
}

/**
 * The member exists until the batch that names it; for a group, its domain. One of a domain or project that
 * the caller does not see does not exist for him.
 */
async function memberFor(api: Api, call: Call, member: string): Promise<Writes> {
  const ref = memberObject(member);
  if (ref === undefined) throw invalid("member", "is not a member");
  const { kind, name } = ownerOf(ref) ?? ref;
  const at = parsePlace(`${kind}/${name}`);
  const caller = call.values === undefined ? NOBODY : callerOf(call.values);
  if (at === undefined || !api.grants.sees(caller, at)) throw missing("member", ref);
  if (ref.kind === domains.kind) {
    const domain = await api.records.find(domains, ref);
    if (domain === undefined) throw missing("member", ref);
    throwIfDeleted(ref, domain.value);
    return unchanged(domains, [ref], domain.revision);
  }
  const stored =
    ref.kind === users.kind
      ? await api.records.find(users, ref)
      : await api.records.find(serviceAccounts, ref);
  if (stored === undefined) throw missing("member", ref);
  return referTo(stored.key, stored.revision);
}

function missing(field: string, ref: Ref): N0Error {
  const text = formatRef(ref);
  return new N0Error("failed_precondition", `${field}: ${text} does not exist`, {
    field,
    resource: text,
  });
}
