import { unchanged } from "../../../../datastore/collection.ts";
import { merge, type Writes } from "../../../../datastore/datastore.ts";
import type { Stored } from "../../../../datastore/records.ts";
import type { SurveyedVolume } from "../../../../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import {
  type BlockStorage,
  BlockStorage_BlockStorageState as State,
} from "../../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { later } from "../../../../transaction/step.ts";
import { N0Error } from "../../../../util/errors.ts";
import { formatRef, nameBeside, parseRefOf, type Ref } from "../../../../util/ref.ts";
import type * as audit from "../../../core/audit/finding.ts";
import { type StorageReservation, storages } from "../../../pool/inventory/collection.ts";
import { changeStorage, reserveStorage } from "../../../pool/inventory/steps.ts";
import type { Api, Tx } from "../../context.ts";
import { blockStorageBeside, blockStorages } from "../collection.ts";
import { blankRecord, finish, reservationOf } from "../make.ts";
import { type Base, basedOn, changed, getBlockStorage, settled } from "../record.ts";
import { removeFile } from "../removal.ts";
import { growFile, reserveSize } from "../update.ts";
import { forgetBase, recordBase, recordCopy } from "../volume/bases.ts";
import { markVolumeLater, removeVolumeLater } from "../volume/volume-steps.ts";

type Repair = audit.Repair<Api>;

function write(ref: Ref, before: BlockStorage, disk: BlockStorage): Repair {
  return (tx) => tx.commit(tx.context.held.put(blockStorages, ref, disk, before));
}

export function setAvailable(ref: Ref, disk: BlockStorage): Repair {
  return write(ref, disk, settled(disk, State.AVAILABLE));
}

export function protectDisk(ref: Ref, disk: BlockStorage): Repair {
  return write(ref, disk, settled(disk, State.PROTECTED));
}

/**
 * For a block storage that is PENDING without a transaction. `user` is the virtual machine that lists it, or
 * "".
 */
export function settleDisk(ref: Ref, disk: BlockStorage, user: string): Repair {
  const after = settled(disk, user === "" ? State.AVAILABLE : State.IN_USE);
  after.usedBy = user;
  return write(ref, disk, after);
}

/** Holds while the base of a block storage is unchanged, so that nobody purges it in the meantime. */
async function baseStays(
  tx: Tx,
  ref: Ref,
  { baseBlockStorageName: baseName }: BlockStorage,
): Promise<Writes> {
  if (baseName === "") return {};
  const base = blockStorageBeside(ref, baseName);
  const { revision, value } = await getBlockStorage(tx.context.api, base);
  if (value.state !== State.PENDING) return unchanged(blockStorages, [base], revision);
  throw new N0Error("aborted", `block storage "${baseName}" is being changed: try again`);
}

export function recordOverlayAgain(ref: Ref, disk: BlockStorage): Repair {
  return async (tx) => tx.commit(merge(recordBase(ref, disk), await baseStays(tx, ref, disk)));
}

/** The file names its base; `baseOwner` is the mark of that base. */
export function takeBacking(
  ref: Ref,
  disk: BlockStorage,
  backing: string,
  baseOwner: string,
): Repair {
  const base = parseRefOf("block_storage", baseOwner);
  const blockStorageName = base === undefined ? baseOwner : nameBeside(ref, base);
  const after = basedOn(disk, baseOf(backing, blockStorageName));
  return async (tx) => {
    const written = merge(
      tx.context.held.put(blockStorages, ref, after, disk),
      forgetBase(disk),
      recordBase(ref, after),
      await baseStays(tx, ref, after),
    );
    await tx.commit(written, later(markVolumeLater, markOf(ref, after)));
  };
}

function baseOf(volumeId: string, blockStorageName: string): Base | undefined {
  return volumeId === "" ? undefined : { blockStorageName, volumeId };
}

/** `takenFrom` is the former owner of the volume. */
function markOf(
  ref: Ref,
  { nodeName, volumeId, baseVolumeId: baseId }: BlockStorage,
  takenFrom = "",
) {
  return { nodeName, volumeId, ref, baseId, takenFrom };
}

export function markVolume(ref: Ref, disk: BlockStorage): Repair {
  return (tx) => tx.commit({}, later(markVolumeLater, markOf(ref, disk)));
}

/**
 * A file grows to the size in its record. A record takes a larger size of its file, so that no data is lost.
 */
export function settleSize(ref: Ref, disk: BlockStorage, fileBytes: bigint): Repair {
  if (fileBytes >= disk.limitBytes) return growRecord(ref, disk, fileBytes);
  return async (tx) => {
    await growFile(tx, ref, disk, fileBytes);
    await tx.commit({});
  };
}

function growRecord(ref: Ref, disk: BlockStorage, limitBytes: bigint): Repair {
  const after = changed(disk, (copy) => {
    copy.limitBytes = limitBytes;
  });
  return async (tx) => {
    const reserved = await reserveSize(tx, ref, disk, after);
    await tx.commit(merge(tx.context.held.put(blockStorages, ref, after, disk), reserved));
  };
}

export function forgetReplica(base: Ref, nodeName: string, volumeId: string): Repair {
  const forgotten = { nodeName, volumeId, baseVolumeId: "", replicaOf: base };
  return async (tx) => await tx.commit({}, ...(await removeFile(tx, base, forgotten)));
}

/**
 * Nobody knows which registration was copied. Block storages rest on the copy, so it counts as one of the
 * present base.
 */
export function recordReplica(base: Ref, nodeName: string, volumeId: string): Repair {
  return async (tx) => {
    const { value } = await getBlockStorage(tx.context.api, base);
    await reserveUnlessThere(tx, nodeName, volumeId, reservationOf(base, value));
    await tx.commit(recordCopy(base, nodeName, { volumeId, registration: "" }, undefined));
  };
}

async function reserveUnlessThere(
  tx: Tx,
  nodeName: string,
  id: string,
  storage: ReturnType<typeof reservationOf>,
): Promise<void> {
  if ((await tx.context.api.records.find(storages, nodeName, id)) !== undefined) return;
  await tx.run(reserveStorage, { nodeName, id, storage });
}

/** As a deleted block storage of that name: nothing is lost, and its owner decides what to do. */
export function adopt(ref: Ref, nodeName: string, { listed, backing }: SurveyedVolume): Repair {
  const { id: volumeId = "", virtualSizeBytes = 0n, owner = "" } = listed ?? {};
  const sizes = { requestBytes: virtualSizeBytes, limitBytes: virtualSizeBytes };
  const blank = blankRecord(ref, { ...sizes, nodeName, volumeId });
  const disk = finish(blank, baseOf(backing, ""), State.DELETED);
  return async (tx) => {
    await reserveUnlessThere(tx, nodeName, volumeId, reservationOf(ref, disk));
    const isOwn = owner === formatRef(ref);
    await tx.commit(
      merge(tx.context.held.put(blockStorages, ref, disk, undefined), recordBase(ref, disk)),
      ...(isOwn ? [] : [later(markVolumeLater, markOf(ref, disk, owner))]),
    );
  };
}

export function removePartial(nodeName: string, volumeId: string, ref: Ref): Repair {
  const place = { nodeName, volumeId, ref, sizeBytes: "0" };
  return (tx) => tx.commit({}, later(removeVolumeLater, place));
}

export function reserveStorageAgain(
  nodeName: string,
  id: string,
  storage: ReturnType<typeof reservationOf>,
): Repair {
  return async (tx) => {
    await tx.run(reserveStorage, { nodeName, id, storage });
    await tx.commit({});
  };
}

export function settleStorage(
  nodeName: string,
  id: string,
  stored: Stored<StorageReservation>,
  storage: ReturnType<typeof reservationOf>,
): Repair {
  const { counted: _, ...before } = stored.value;
  const after = { ...before, ...storage };
  return async (tx) => {
    await tx.run(changeStorage, { nodeName, id, before, after });
    await tx.commit(tx.context.api.inventory.storages.settle(nodeName, id, after));
  };
}
