import { create } from "@bufbuild/protobuf";
import { put, remove, unchanged } from "../../../datastore/collection.ts";
import {
  PasswordService,
  type RemovePasswordResponse,
  RemovePasswordResponseSchema,
  type SetPasswordRequest,
  type SetPasswordResponse,
  SetPasswordResponseSchema,
} from "../../../gen/n0stack/iam/v1alpha1/password_pb.ts";
import { type Caller, callerOf, NOBODY } from "../../../rpc/caller.ts";
import { invalid, N0Error } from "../../../util/errors.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import { askerOf, peerOfCall } from "../../core/asker.ts";
import type { Call } from "../../core/context.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { refOf } from "../../core/scope.ts";
import type { Api } from "../context.ts";
import { noteFailedProof } from "../sign-in-events.ts";
import { users } from "../user/collection.ts";
import { getUser } from "../user/record.ts";
import { PASSWORD, type Password, passwords, WRONG_PASSWORD } from "./collection.ts";
import { sessionsOf, withoutSessions } from "./sessions.ts";

/**
 * Sets the password of a user and ends his sessions; of those, the caller keeps his own.
 *
 * @throws N0Error `not_found`; `invalid_argument` for a wrong old password; `permission_denied` for a user
 * who may do more than the caller; `failed_precondition` for one's own first password.
 */
export async function setPassword(
  api: Api,
  call: Call,
  { userName, newPassword, oldPassword }: SetPasswordRequest,
): Promise<SetPasswordResponse> {
  const ref = refOf(call, users, userName);
  const caller = callerOfCall(call);
  await getUser(api, ref);
  const isOwn = caller.principal === formatRef(ref);
  if (!isOwn) throwUnlessBelow(api, caller, ref);
  const checked = isOwn ? await checkOwn(api, call, ref, oldPassword) : undefined;
  // Before the transaction, which waits for nothing but records.
  const hash = await api.passwords.hash(newPassword);
  const { setPassword: method } = PasswordService.method;
  return await runSaga(api, call, { method, keys: [users.key(ref)], waits: true }, async (tx) => {
    await getUser(api, ref);
    const before = await api.records.find(passwords, ref);
    if (checked !== undefined && before?.value.hash !== checked) throw changed(ref);
    const sessions = await sessionsOf(api, ref);
    const others = sessions.filter(({ value }) => !isOwn || value.name !== caller.tokenId);
    const password: Password = { hash, setAtMs: api.clock.nowMs() };
    return await tx.answer(
      create(SetPasswordResponseSchema),
      put(passwords, [ref], password),
      // Each sign-in changes it.
      unchanged(passwords, [ref], before?.revision ?? 0),
      withoutSessions(others),
    );
  });
}

/** @throws N0Error `not_found`, also for a user without a password. */
export async function removePassword(
  api: Api,
  call: Call,
  userName: string,
): Promise<RemovePasswordResponse> {
  const ref = refOf(call, users, userName);
  const { removePassword: method } = PasswordService.method;
  return await runSaga(api, call, { method, keys: [users.key(ref)], waits: true }, async (tx) => {
    await getUser(api, ref);
    const before = await api.records.find(passwords, ref);
    if (before === undefined) {
      const message = `user "${userName}" has no password`;
      throw new N0Error("not_found", message, { resource: formatRef(ref) });
    }
    return await tx.answer(
      create(RemovePasswordResponseSchema),
      remove(passwords, ref),
      unchanged(passwords, [ref], before.revision),
      withoutSessions(await sessionsOf(api, ref)),
    );
  });
}

function callerOfCall({ values }: Call): Caller {
  return values === undefined ? NOBODY : callerOf(values);
}

/**
 * Who sets a password can call as that user from then on. What that user has elsewhere is not said.
 *
 * @throws N0Error `permission_denied`.
 */
function throwUnlessBelow({ grants }: Api, caller: Caller, user: Ref): void {
  const held = grants.grantsOf({ principal: formatRef(user), groups: [] });
  const isBelow = held.every(({ role, place }) =>
    grants.mayGive(caller, grants.role(role)?.patterns ?? [], place),
  );
  if (isBelow) return;
  const message = `user "${user.name}" has a role that ${caller.principal} cannot give: ask somebody with the role admin in the system to set the password`;
  throw new N0Error("permission_denied", message, { resource: formatRef(user) });
}

/**
 * The hash that the old password has. A token alone must not be enough to become its user for ever.
 *
 * @throws N0Error `failed_precondition` without a password; `invalid_argument` for a wrong one.
 */
async function checkOwn(api: Api, call: Call, user: Ref, oldPassword: string): Promise<string> {
  const hash = (await api.records.find(passwords, user))?.value.hash;
  if (hash === undefined) {
    const message = `user "${user.name}" has no password, and nobody sets his own first one: ask an administrator`;
    throw new N0Error("failed_precondition", message, { resource: formatRef(user) });
  }
  const given = { user, password: oldPassword, peer: peerOfCall(call) };
  if (!(await api.passwords.check(given, hash))) {
    noteFailedProof(api.auditEvents, askerOf(call), { user, credential: PASSWORD }, WRONG_PASSWORD);
    throw invalid("old_password", `is not the password of user "${user.name}"`);
  }
  return hash;
}

function changed(user: Ref): N0Error {
  const message = `the password of user "${user.name}" has just changed: try again`;
  return new N0Error("aborted", message, { retryAfterMs: 100, resource: formatRef(user) });
}
