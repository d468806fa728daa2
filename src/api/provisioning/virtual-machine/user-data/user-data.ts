import { createHash, scryptSync } from "node:crypto";
import { put, remove, unchanged } from "../../../../datastore/collection.ts";
import { merge } from "../../../../datastore/datastore.ts";
import type { VirtualMachine } from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import type { Retriable, Step } from "../../../../transaction/step.ts";
import { N0Error } from "../../../../util/errors.ts";
import { formatRef, type Ref } from "../../../../util/ref.ts";
import type { Reader } from "../../../core/context.ts";
import type { SagaContext, Tx } from "../../context.ts";
import { type UserData, userDatas, virtualMachines } from "../collection.ts";

type Kept = { readonly ref: Ref; readonly sha256: string };

function sha256Of(userData: string): string {
  return createHash("sha256").update(userData).digest("hex");
}

/**
 * Equal for equal user data of one virtual machine. Viewers see what is made from it, so it is slow: nobody shall try
 * each likely password in a file that he otherwise knows. Empty for none.
 */
export function slowDigestOf(userData: string, uuid: string): string {
  if (userData === "") return "";
  return scryptSync(userData, uuid, 16, { N: 4096 }).toString("hex");
}

/**
 * Puts user data into a record of its own, which nothing but the steps of the seed reads. The journal has its hash
 * alone. See docs/adr/0069.
 */
export const keepUserData: Step<SagaContext, Kept, void, string> = {
  name: "virtual_machine.keep_user_data",
  async act({ api }, { ref, sha256 }, { transactionId }, userData) {
    const base64 = Buffer.from(userData).toString("base64");
    await api.datastore.batch(put(userDatas, [ref], { base64, sha256, transactionId }));
  },
  async undo({ api }, { ref }, { transactionId }) {
    const present = await api.records.find(userDatas, ref);
    if (present?.value.transactionId !== transactionId) return;
    await api.datastore.batch(
      merge(remove(userDatas, ref), unchanged(userDatas, [ref], present.revision)),
    );
  },
};

/**
 * Puts other user data into its place. The former one stays beside it until the transaction has committed, so that the
 * undo finds it: the journal must not have it.
 */
export const replaceUserData: Step<SagaContext, Kept, void, string> = {
  name: "virtual_machine.replace_user_data",
  async act({ api }, { ref, sha256 }, { transactionId }, userData) {
    const present = await api.records.find(userDatas, ref);
    if (isOf(present?.value, sha256, transactionId)) return;
    if (present?.value.before?.before !== undefined) throw changedTwice(ref);
    const base64 = Buffer.from(userData).toString("base64");
    const before = present === undefined ? {} : { before: present.value };
    await api.datastore.batch(
      merge(
        put(userDatas, [ref], { base64, sha256, transactionId, ...before }),
        unchanged(userDatas, [ref], present?.revision ?? 0),
      ),
    );
  },
  async undo({ api }, { ref, sha256 }, { transactionId }) {
    const present = await api.records.find(userDatas, ref);
    if (present === undefined || !isOf(present.value, sha256, transactionId)) return;
    const { before } = present.value;
    const back = before === undefined ? remove(userDatas, ref) : put(userDatas, [ref], before);
    await api.datastore.batch(merge(back, unchanged(userDatas, [ref], present.revision)));
  },
};

function isOf(present: UserData | undefined, sha256: string, transactionId: string): boolean {
  return present?.sha256 === sha256 && present.transactionId === transactionId;
}

function changedTwice(ref: Ref): N0Error {
  const message = `user_data: this transaction changes that of virtual machine "${ref.name}" again and again: change it once`;
  return new N0Error("failed_precondition", message, {
    field: "user_data",
    resource: formatRef(ref),
  });
}

/** After the pivot: removes the user data that the virtual machine has no more. */
export const forgetFormerUserData: Retriable<SagaContext, { readonly ref: Ref }> = {
  name: "virtual_machine.forget_former_user_data",
  async act({ api }, { ref }, { transactionId }) {
    const present = await api.records.find(userDatas, ref);
    if (present === undefined) return;
    const { before, ...value } = present.value;
    const vm = (await api.records.find(virtualMachines, ref))?.value;
    const hasNone = vm?.userDataBytes === 0;
    if (!hasNone && (before === undefined || value.transactionId !== transactionId)) return;
    const left = hasNone ? remove(userDatas, ref) : put(userDatas, [ref], value);
    await api.datastore.batch(merge(left, unchanged(userDatas, [ref], present.revision)));
  },
};

/** Like `keepAny`, in place of what it has. @returns its hash; undefined if it then has none. */
export async function replaceAny(tx: Tx, ref: Ref, userData: string): Promise<string | undefined> {
  if (userData === "") return undefined;
  const sha256 = sha256Of(userData);
  await tx.run(replaceUserData, { ref, sha256 }, userData);
  return sha256;
}

/** @returns its hash; undefined if there is none. */
export async function keepAny(tx: Tx, ref: Ref, userData: string): Promise<string | undefined> {
  if (userData === "") return undefined;
  const sha256 = sha256Of(userData);
  await tx.run(keepUserData, { ref, sha256 }, userData);
  return sha256;
}

function textOf({ base64 }: UserData): string {
  return Buffer.from(base64, "base64").toString("utf8");
}

/**
 * The hash of its user data; undefined if it has none.
 *
 * @throws N0Error `failed_precondition` if the record is lost.
 */
export async function readUserDataSha256(
  { records }: Reader,
  ref: Ref,
  { userDataBytes }: Pick<VirtualMachine, "userDataBytes">,
): Promise<string | undefined> {
  if (userDataBytes === 0) return undefined;
  const stored = await records.find(userDatas, ref);
  if (stored === undefined) throw lost(ref);
  return stored.value.sha256;
}

/** Its user data; empty for none. @throws N0Error `failed_precondition` if the record is lost. */
export async function presentUserData(
  { records }: Reader,
  ref: Ref,
  { userDataBytes }: Pick<VirtualMachine, "userDataBytes">,
): Promise<string> {
  if (userDataBytes === 0) return "";
  const stored = await records.find(userDatas, ref);
  if (stored === undefined) throw lost(ref);
  return textOf(stored.value);
}

/** Whether it has this user data. As slow as to guess it by `slowDigestOf`. */
export async function isUserDataOf(
  { records }: Reader,
  ref: Ref,
  { uuid, userDataBytes }: Pick<VirtualMachine, "uuid" | "userDataBytes">,
  userData: string,
): Promise<boolean> {
  if (userDataBytes === 0 || userData === "") return userDataBytes === 0 && userData === "";
  const stored = await records.find(userDatas, ref);
  const asked = slowDigestOf(userData, uuid);
  return stored !== undefined && slowDigestOf(textOf(stored.value), uuid) === asked;
}

/** @throws like `readUserDataSha256`, also for other user data than this. */
export async function readUserData(
  { records }: Reader,
  { ref, userDataSha256 }: { readonly ref: Ref; readonly userDataSha256?: string },
): Promise<string> {
  if (userDataSha256 === undefined) return "";
  let found = (await records.find(userDatas, ref))?.value;
  // The undo of a change writes the former one into the seed.
  while (found !== undefined && found.sha256 !== userDataSha256) found = found.before;
  if (found === undefined) throw lost(ref);
  return textOf(found);
}

function lost(ref: Ref): N0Error {
  return new N0Error(
    "failed_precondition",
    `the user data of virtual machine "${ref.name}" is lost: delete it, and create it again with its block storages`,
    { resource: formatRef(ref) },
  );
}
