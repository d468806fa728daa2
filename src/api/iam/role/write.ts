import { clone, create } from "@bufbuild/protobuf";
import type { Stored } from "../../../datastore/records.ts";
import { unreferenced } from "../../../datastore/references.ts";
import {
  type CreateRoleRequest,
  type CreateRoleResponse,
  CreateRoleResponseSchema,
  type DeleteRoleResponse,
  DeleteRoleResponseSchema,
  type Role,
  RoleSchema,
  RoleService,
  type UpdateRoleRequest,
  type UpdateRoleResponse,
  UpdateRoleResponseSchema,
} from "../../../gen/n0stack/iam/v1alpha1/role_pb.ts";
import { counted } from "../../../util/counted.ts";
import { N0Error, notFound } from "../../../util/errors.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import type { Call } from "../../core/context.ts";
import { runSaga } from "../../core/saga/saga.ts";
import type { Api } from "../context.ts";
import { ownerRef } from "../owner.ts";
import { bindingsOf } from "../role-binding/with-others.ts";
import { roles } from "./collection.ts";
import { throwUnlessPermissions } from "./permissions.ts";

/** @throws N0Error `already_exists`; `invalid_argument`; `permission_denied`. */
export async function createRole(
  api: Api,
  call: Call,
  request: CreateRoleRequest,
): Promise<CreateRoleResponse> {
  const { name, annotations, labels, description, permissions } = request;
  const ref = ownerRef(roles.kind, name);
  throwUnlessPermissions(api, call, ref, permissions);
  const options = { method: RoleService.method.createRole, keys: [roles.key(ref)] };
  return await runSaga(api, call, options, async (tx) => {
    if ((await api.records.find(roles, ref)) !== undefined) {
      throw new N0Error("already_exists", `role "${name}" exists already`, {
        resource: formatRef(ref),
      });
    }
    const role = { name, annotations, labels, description, permissions };
    const answer = create(CreateRoleResponseSchema, { role });
    return await tx.answer(answer, tx.context.held.put(roles, ref, answer.role!, undefined));
  });
}

/**
 * Replaces the description and the permissions.
 *
 * @throws N0Error `not_found`; `failed_precondition` for a built-in role; `invalid_argument`;
 * `permission_denied`.
 */
export async function updateRole(
  api: Api,
  call: Call,
  { name, description, permissions }: UpdateRoleRequest,
): Promise<UpdateRoleResponse> {
  const ref = ownerRef(roles.kind, name);
  throwUnlessPermissions(api, call, ref, permissions);
  const options = { method: RoleService.method.updateRole, keys: [roles.key(ref)], waits: true };
  return await runSaga(api, call, options, async (tx) => {
    const { value: before } = await getOwnRole(api, ref);
    const role = clone(RoleSchema, before);
    role.description = description;
    role.permissions = [...permissions];
    const answer = create(UpdateRoleResponseSchema, { role });
    return await tx.answer(answer, tx.context.held.put(roles, ref, role, before));
  });
}

/** @throws N0Error `not_found`; `failed_precondition` for a built-in role, and for one that somebody has. */
export async function deleteRole(api: Api, call: Call, name: string): Promise<DeleteRoleResponse> {
  const ref = ownerRef(roles.kind, name);
  const options = { method: RoleService.method.deleteRole, keys: [roles.key(ref)] };
  return await runSaga(api, call, options, async (tx) => {
    const { value: role } = await getOwnRole(api, ref);
    const nobodyRefers = await unreferenced(api.records, ref);
    const bindings = await bindingsOf(api, ref);
    if (bindings.length > 0) throw isGiven(ref, bindings);
    const removed = tx.context.held.remove(roles, ref, role);
    return await tx.answer(create(DeleteRoleResponseSchema), removed, nobodyRefers);
  });
}

function isGiven(
  ref: Ref,
  bindings: readonly { readonly value: { readonly name: string; readonly scope: string } }[],
): N0Error {
  const some = bindings.slice(0, 3).map(({ value }) => `"${value.name}" in ${value.scope}`);
  return new N0Error(
    "failed_precondition",
    `role "${ref.name}" is given by ${counted(bindings.length, "role binding")}, such as ${some.join(", ")}: delete them first`,
    { resource: formatRef(ref) },
  );
}

async function getOwnRole(api: Api, ref: Ref): Promise<Stored<Role>> {
  const stored = await api.records.find(roles, ref);
  if (stored === undefined) throw notFound("role", ref.name);
  if (!stored.value.builtIn) return stored;
  throw new N0Error(
    "failed_precondition",
    `role "${ref.name}" is built in and never changes: make a role of your own`,
    { resource: formatRef(ref) },
  );
}
