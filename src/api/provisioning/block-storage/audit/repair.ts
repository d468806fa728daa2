import { create } from "@bufbuild/protobuf";
import { putNew, put as putRecord, remove, unchanged } from "../../../../datastore/collection.ts";
import { merge, type Writes } from "../../../../datastore/datastore.ts";
import type { Stored } from "../../../../datastore/records.ts";
import type { SurveyedVolume } from "../../../../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import {
  type BlockStorage,
  BlockStorageSchema,
  BlockStorage_BlockStorageState as State,
} from "../../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { later } from "../../../../transaction/step.ts";
import { N0Error } from "../../../../util/errors.ts";
import { formatRef, nameOnNode, parseRefOf, type Ref } from "../../../../util/ref.ts";
import { BLOCK_STORAGE_URL, volumeUrl } from "../../../core/annotations.ts";
import type * as audit from "../../../core/audit/finding.ts";
import { type StorageReservation, storages } from "../../../pool/inventory/collection.ts";
import { changeStorage, reserveStorage } from "../../../pool/inventory/steps.ts";
import type { Api, Tx } from "../../context.ts";
import { blockStorageBeside, blockStorages, overlayOf, overlays, replicas } from "../collection.ts";
import { reservationOf } from "../make.ts";
import { changed, getBlockStorage, settled } from "../record.ts";
import { removeFile } from "../removal.ts";
import { growFile, reserveSize } from "../update.ts";
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

/** For one that says PENDING and is nobody's work. `user` is the virtual machine that lists it, or "". */
export function settleDisk(ref: Ref, disk: BlockStorage, user: string): Repair {
  const after = settled(disk, user === "" ? State.AVAILABLE : State.IN_USE);
  after.usedBy = user;
  return write(ref, disk, after);
}

/** Holds while the base of a block storage is what it is now, so that it is not purged meanwhile. */
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
  const { baseVolumeId, volumeId } = disk;
  return async (tx) => {
    const stays = await baseStays(tx, ref, disk);
    const overlay = putNew(overlays, [baseVolumeId, volumeId], overlayOf(ref));
    await tx.commit(merge(overlay, stays));
  };
}

/** The file says what it rests on; `baseOwner` is the mark of that. */
export function takeBacking(
  ref: Ref,
  disk: BlockStorage,
  backing: string,
  baseOwner: string,
): Repair {
  const { volumeId, baseVolumeId, nodeName } = disk;
  const after = changed(disk, (copy) => {
    copy.baseVolumeId = backing;
    copy.baseBlockStorageName = parseRefOf("block_storage", baseOwner)?.name ?? baseOwner;
  });
  return async (tx) => {
    const writes = [
      tx.context.held.put(blockStorages, ref, after, disk),
      baseVolumeId === "" ? {} : remove(overlays, baseVolumeId, volumeId),
      backing === "" ? {} : putRecord(overlays, [backing, volumeId], overlayOf(ref)),
      await baseStays(tx, ref, after),
    ];
    const mark = { nodeName, volumeId, ref, baseId: backing, takenFrom: "" };
    await tx.commit(merge(...writes), later(markVolumeLater, mark));
  };
}

export function markVolume(ref: Ref, { nodeName, volumeId, baseVolumeId }: BlockStorage): Repair {
  const mark = { nodeName, volumeId, ref, baseId: baseVolumeId, takenFrom: "" };
  return (tx) => tx.commit({}, later(markVolumeLater, mark));
}

/** A file grows to its record's size; a record to its file's, for no data is cut off. */
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

/** Of which registration it is a copy nobody knows; disks rest on it, so it is what the base is. */
export function recordReplica(base: Ref, nodeName: string, volumeId: string): Repair {
  return async (tx) => {
    const { api } = tx.context;
    const { value } = await getBlockStorage(api, base);
    if ((await api.records.find(storages, nodeName, volumeId)) === undefined) {
      const storage = reservationOf(base, value);
      await tx.run(reserveStorage, { nodeName, id: volumeId, storage });
    }
    await tx.commit(putNew(replicas, [base, nodeName], { volumeId, registration: "" }));
  };
}

/** As a deleted disk of that name: nothing is lost, and its owner says what becomes of it. */
export function adopt(ref: Ref, nodeName: string, { listed, backing }: SurveyedVolume): Repair {
  const { id: volumeId = "", virtualSizeBytes = 0n, owner = "" } = listed ?? {};
  const disk = create(BlockStorageSchema, {
    name: ref.name,
    annotations: { [BLOCK_STORAGE_URL]: volumeUrl(volumeId) },
    requestBytes: virtualSizeBytes,
    limitBytes: virtualSizeBytes,
    state: State.DELETED,
    nodeName,
    storageName: nameOnNode(ref),
    volumeId,
    baseVolumeId: backing,
  });
  return async (tx) => {
    const { api, held } = tx.context;
    if ((await api.records.find(storages, nodeName, volumeId)) === undefined) {
      await tx.run(reserveStorage, { nodeName, id: volumeId, storage: reservationOf(ref, disk) });
    }
    const overlay = backing === "" ? {} : putRecord(overlays, [backing, volumeId], overlayOf(ref));
    const mark = { nodeName, volumeId, ref, baseId: backing, takenFrom: owner };
    const isOwn = owner === formatRef(ref);
    await tx.commit(
      merge(held.put(blockStorages, ref, disk, undefined), overlay),
      ...(isOwn ? [] : [later(markVolumeLater, mark)]),
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
