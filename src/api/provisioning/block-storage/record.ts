import { clone } from "@bufbuild/protobuf";
import type { Stored } from "../../../datastore/records.ts";
import {
  type BlockStorage,
  BlockStorageSchema,
  BlockStorage_BlockStorageState as State,
} from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { counted } from "../../../util/counted.ts";
import { N0Error, notFound } from "../../../util/errors.ts";
import { formatRef, type Ref, refOnNode } from "../../../util/ref.ts";
import { UNLESS_GONE } from "../../core/advice.ts";
import type { Reader } from "../../core/context.ts";
import { findReferrer } from "../../core/resource/referrer.ts";
import { isOfAnother } from "../../core/saga/ambient.ts";
import { recordSteps } from "../../core/saga/record-steps.ts";
import { isGoing } from "../../core/saga/tasks/going.ts";
import type { Api } from "../context.ts";
import { virtualMachineBeside, virtualMachines } from "../virtual-machine/collection.ts";
import { blockStorageBeside, blockStorages, overlays, replicas } from "./collection.ts";

export const blockStorageSteps = recordSteps(blockStorages, { namesBefore: true });

/** @throws N0Error `not_found`. */
export async function getBlockStorage(api: Reader, ref: Ref): Promise<Stored<BlockStorage>> {
  const stored = await api.records.find(blockStorages, ref);
  if (stored === undefined) throw notFound("block storage", ref.name);
  return stored;
}

/** The keys of a block storage and of the virtual machine that uses it. */
export function withUser(ref: Ref, { usedBy }: BlockStorage): string[] {
  const user = usedBy === "" ? [] : [virtualMachines.key(virtualMachineBeside(ref, usedBy))];
  return [blockStorages.key(ref), ...user];
}

/** The block storage as clients see it: with its progress while it is being made. */
export function toWire(api: Api, blockStorage: BlockStorage, scope: string): BlockStorage {
  if (blockStorage.state !== State.PENDING) return blockStorage;
  const progress = api.progress.get(blockStorageBeside({ scope }, blockStorage.name));
  if (progress === undefined) return blockStorage;
  const seen = clone(BlockStorageSchema, blockStorage);
  seen.progressDoneBytes = progress.doneBytes;
  seen.progressTotalBytes = progress.totalBytes;
  return seen;
}

/** A copy of the record with some fields changed. */
export function changed(
  blockStorage: BlockStorage,
  change: (copy: BlockStorage) => void,
): BlockStorage {
  const copy = clone(BlockStorageSchema, blockStorage);
  change(copy);
  return copy;
}

export function pending(blockStorage: BlockStorage, transactionId: string): BlockStorage {
  return changed(blockStorage, (copy) => {
    copy.state = State.PENDING;
    copy.transactionId = transactionId;
  });
}

/** The base of a block storage. */
export interface Base {
  /** Empty if it is not known. */
  readonly blockStorageName: string;
  readonly volumeId: string;
}

/** @param base Undefined for a block storage without a base. */
export function basedOn(blockStorage: BlockStorage, base: Base | undefined): BlockStorage {
  return changed(blockStorage, (copy) => {
    copy.baseBlockStorageName = base?.blockStorageName ?? "";
    copy.baseVolumeId = base?.volumeId ?? "";
  });
}

/** The record at rest in `state`. */
export function settled(blockStorage: BlockStorage, state: State): BlockStorage {
  return changed(blockStorage, (copy) => {
    copy.state = state;
    copy.transactionId = "";
    if (state !== State.IN_USE) copy.usedBy = "";
  });
}

/** @throws N0Error `failed_precondition` that names its state and what to do. */
export function throwUnlessIn(
  ref: Ref,
  blockStorage: BlockStorage,
  allowed: readonly State[],
): void {
  if (allowed.includes(blockStorage.state) && !isOfAnother(blockStorage)) return;
  throw new N0Error("failed_precondition", `block storage "${ref.name}" ${whyBusy(blockStorage)}`, {
    resource: formatRef(ref),
  });
}

function whyBusy(blockStorage: BlockStorage): string {
  const { usedBy, transactionId } = blockStorage;
  switch (isOfAnother(blockStorage) ? State.PENDING : blockStorage.state) {
    case State.PENDING:
      return `is PENDING: transaction ${transactionId} works on it or needs an operator`;
    case State.IN_USE:
      return usedBy === ""
        ? "is IN_USE: set it available first"
        : `is IN_USE by virtual machine "${usedBy}": delete that virtual machine first${UNLESS_GONE}`;
    case State.PROTECTED:
      return "is PROTECTED: unregister it from its image first, or, if no image has it, set it available";
    case State.DELETED:
      return "is DELETED: undelete it first";
    default:
      return "is AVAILABLE: delete it first";
  }
}

/** The block storages that rest on this one, on its own node and on others. */
export async function dependants(api: Api, ref: Ref, { volumeId }: BlockStorage): Promise<Ref[]> {
  const copies = await api.records.list(replicas, [ref]);
  const bases = [volumeId, ...copies.map(({ value }) => value.volumeId)];
  const found = await Promise.all(bases.map((id) => api.records.list(overlays, [id])));
  return found.flat().map(({ value }) => refOnNode(blockStorages.kind, value.blockStorage));
}

/** @throws N0Error `failed_precondition` while others rest on it: a change would corrupt them. */
export async function throwIfBase(api: Api, ref: Ref, blockStorage: BlockStorage): Promise<void> {
  const others = (await dependants(api, ref, blockStorage)).filter((other) => !isGoing(other));
  if (others.length === 0) return;
  const own = others.filter(({ scope }) => scope === ref.scope);
  if (own.length === 0) throw isBaseElsewhere(ref);
  const some = own.slice(0, 5).map(({ name }) => `"${name}"`);
  const which = `${counted(own.length, "other")}, such as ${some.join(", ")}: purge those first`;
  const message = `block storage "${ref.name}" is the base of ${which}`;
  throw new N0Error("failed_precondition", message, { resource: formatRef(ref) });
}

/** @throws N0Error `failed_precondition` while an image has it. */
export async function throwIfRegistered(api: Api, ref: Ref): Promise<void> {
  const image = await findReferrer(api, ref, "image");
  if (image === undefined) return;
  const message = `block storage "${ref.name}" is registered in ${image.word} "${image.name}": unregister it there first`;
  throw new N0Error("failed_precondition", message, { resource: formatRef(ref) });
}

/** The refusal while block storages of other projects rest on it. It names none of them. */
export function isBaseElsewhere(ref: Ref): N0Error {
  const message = `block storage "${ref.name}" is the base of block storages of other projects: they must purge those first`;
  return new N0Error("failed_precondition", message, { resource: formatRef(ref) });
}
