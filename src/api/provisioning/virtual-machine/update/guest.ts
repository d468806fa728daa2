import type { Stored } from "../../../../datastore/records.ts";
import type { User } from "../../../../gen/n0stack/iam/v0/user_pb.ts";
import type { VirtualMachine } from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { defined } from "../../../../util/defined.ts";
import type { Ref } from "../../../../util/ref.ts";
import type { Api, Tx } from "../../context.ts";
import { usersOf } from "../collection.ts";
import { type PlanInput, readUsers, userKeysOf } from "../domain/plan-input.ts";
import { instanceIdOf } from "../instance-id.ts";
import { changed, pending, virtualMachineSteps } from "../record.ts";
import { presentUserData, replaceAny, slowDigestOf } from "../user-data/user-data.ts";
import type { Wanted } from "./wanted.ts";

/** What the guest is to be told. */
export interface GuestChange {
  /** The record, with its instance id. */
  readonly after: VirtualMachine;
  readonly users: readonly Stored<User>[];
}

/** @throws N0Error `failed_precondition` for a user that does not exist. */
export async function readGuest(api: Api, ref: Ref, wanted: Wanted): Promise<GuestChange> {
  const { before, after, guest } = wanted;
  if (guest.length === 0) return { after, users: [] };
  const users = await readUsers(api, usersOf(after));
  const userData = wanted.userData ?? (await presentUserData(api, ref, before));
  const digest = slowDigestOf(userData, after.uuid);
  const instanceId = instanceIdOf(after, userKeysOf(users), digest, before.instanceId);
  const told = changed(after, (copy) => {
    copy.instanceId = instanceId;
  });
  return { after: told, users };
}

/** Writes the record with all changes. @returns the input of its new plan. */
export async function replaceGuest(
  tx: Tx,
  ref: Ref,
  { before, guest, userData }: Wanted,
  { after, users }: GuestChange,
  input: PlanInput,
): Promise<PlanInput> {
  // Whoever looks at it before all is done sees what it will be. From here on nobody deletes these users.
  const [was, is] = [pending(before, tx.id), pending(after, tx.id)];
  await virtualMachineSteps.replace(tx, ref, was, is, users);
  if (guest.length === 0) return input;
  const userKeys = userKeysOf(users);
  if (userData === undefined) return { ...input, userKeys };
  const { userDataSha256: _, ...rest } = input;
  const userDataSha256 = await replaceAny(tx, ref, userData);
  return { ...rest, userKeys, ...defined({ userDataSha256 }) };
}
