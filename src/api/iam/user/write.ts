import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { remove } from "../../../datastore/collection.ts";
import { merge } from "../../../datastore/datastore.ts";
import { unreferenced } from "../../../datastore/references.ts";
import {
  type AddSshPublicKeyRequest,
  type CreateUserRequest,
  type DeleteSshPublicKeyRequest,
  type User,
  User_UserState,
  UserSchema,
  UserService,
} from "../../../gen/n0stack/iam/v0/user_pb.ts";
import { N0Error } from "../../../util/errors.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import { parseSshPublicKey } from "../../../util/ssh-key.ts";
import type { Api, Call } from "../../core/context.ts";
import { findReferrer } from "../../core/resource/referrer.ts";
import { type Method, runSaga } from "../../core/saga/saga.ts";
import { DONE } from "../../core/saga/tx.ts";
import { refOf } from "../../core/scope.ts";
import { whereOf } from "../../core/where.ts";
import { withoutPerson } from "../oidc/person.ts";
import { passwords } from "../password/collection.ts";
import { belongingsOf, removeBelongings } from "../role-binding/with-others.ts";
import { users } from "./collection.ts";
import { changed, getUser, throwIfTooManyKeys } from "./record.ts";

/** @throws N0Error `already_exists`. */
export async function createUser(
  api: Api,
  call: Call,
  { name, annotations, labels }: CreateUserRequest,
): Promise<User> {
  const ref = refOf(call, users, name);
  const options = { method: UserService.method.createUser, keys: [users.key(ref)] };
  return await runSaga(api, call, options, async (tx) => {
    if ((await api.records.find(users, ref)) !== undefined) {
      throw new N0Error("already_exists", `user "${name}" exists already`, {
        resource: formatRef(ref),
      });
    }
    const state = User_UserState.AVAILABLE;
    const createdAt = timestampFromMs(api.clock.nowMs());
    const user = create(UserSchema, { name, annotations, labels, state, createdAt });
    return await tx.answerRecord(users, ref, user, undefined);
  });
}

/**
 * Deletes the user with his role bindings, tokens and password.
 *
 * @throws N0Error `not_found`; `failed_precondition` while a virtual machine names the user.
 */
export async function deleteUser(api: Api, call: Call, name: string): Promise<void> {
  const ref = refOf(call, users, name);
  const keys = async () => [
    users.key(ref),
    ...(await belongingsOf(api, ref)).map(({ stored }) => stored.key),
  ];
  const options = { method: UserService.method.deleteUser, keys };
  await runSaga(api, call, options, async (tx) => {
    const user = await getUser(api, ref);
    const nobodyRefers = await unreferenced(api.records, ref);
    const using = await findReferrer(api, ref, "virtual_machine");
    if (using !== undefined) {
      const isOwn = using.scope === whereOf(call.values).project;
      const what = isOwn ? `${using.word} "${using.name}"` : `a ${using.word} of another project`;
      throw new N0Error(
        "failed_precondition",
        `user "${name}" has its keys on ${what}: delete that first`,
        { resource: formatRef(ref) },
      );
    }
    const { held } = tx.context;
    const alone = merge(
      await withoutPerson(api, ref),
      remove(passwords, ref),
      removeBelongings(held, await belongingsOf(api, ref)),
    );
    return await tx.answer(DONE, held.remove(users, ref, user), nobodyRefers, alone);
  });
}

/**
 * Adds a key, or replaces the one of that name. Virtual machines get it at their next boot.
 *
 * @throws N0Error `not_found`; `invalid_argument` that says what the text is instead of a key;
 * `failed_precondition` for too many keys.
 */
export async function addSshPublicKey(
  api: Api,
  call: Call,
  { userName, sshPublicKeyName, sshPublicKey }: AddSshPublicKeyRequest,
): Promise<User> {
  const key = parseSshPublicKey("ssh_public_key", sshPublicKey);
  const ref = refOf(call, users, userName);
  return await changeKeys(api, call, UserService.method.addSshPublicKey, ref, (user) => {
    user.sshPublicKeys[sshPublicKeyName] = key;
    throwIfTooManyKeys(ref, user);
  });
}

/** @throws N0Error `not_found` for the user or the key. */
export async function deleteSshPublicKey(
  api: Api,
  call: Call,
  { userName, sshPublicKeyName }: DeleteSshPublicKeyRequest,
): Promise<User> {
  const method = UserService.method.deleteSshPublicKey;
  const ref = refOf(call, users, userName);
  return await changeKeys(api, call, method, ref, ({ sshPublicKeys }) => {
    if (!Object.hasOwn(sshPublicKeys, sshPublicKeyName)) {
      const message = `user "${userName}" has no SSH public key "${sshPublicKeyName}"`;
      throw new N0Error("not_found", message, { resource: formatRef(ref) });
    }
    delete sshPublicKeys[sshPublicKeyName];
  });
}

async function changeKeys(
  api: Api,
  call: Call,
  method: Method<typeof UserSchema>,
  ref: Ref,
  change: (copy: User) => void,
): Promise<User> {
  const options = { method, keys: [users.key(ref)], waits: true };
  return await runSaga(api, call, options, async (tx) => {
    const before = await getUser(api, ref);
    const user = changed(before, change);
    return await tx.answerRecord(users, ref, user, before);
  });
}
