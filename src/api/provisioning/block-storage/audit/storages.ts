import type { Stored } from "../../../../datastore/records.ts";
import type { BlockStorage } from "../../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { parseRefOf } from "../../../../util/ref.ts";
import type { Finding as FindingOf } from "../../../core/audit/finding.ts";
import { listWanted, type View } from "../../../core/audit/view.ts";
import {
  keysOfOwner,
  nodeOfStorage,
  numbersOf,
  reservedForNobody,
} from "../../../pool/inventory/audit.ts";
import { type StorageReservation, storages } from "../../../pool/inventory/collection.ts";
import { nodes } from "../../../pool/node/collection.ts";
import type { Api } from "../../context.ts";
import { virtualMachines } from "../../virtual-machine/collection.ts";
import { blockStorages, type Replica, replicas } from "../collection.ts";
import { reservationOf } from "../make.ts";
import { ownerOf } from "../record.ts";
import type { Code } from "./codes.ts";
import { nodeOfCopy, nodeOfDisk } from "./records.ts";
import { reserveStorageAgain, settleStorage } from "./repair.ts";

type Finding = FindingOf<Code, Api>;

/** What is reserved for block storages, against what they need. */
export function compareStorages(view: View): Finding[] {
  return [
    ...listWanted(view, storages, nodeOfStorage).flatMap((stored) => compareStorage(view, stored)),
    ...listWanted(view, blockStorages, nodeOfDisk).flatMap(({ value }) =>
      missingOfDisk(view, value),
    ),
    ...listWanted(view, replicas, nodeOfCopy).flatMap((stored) => missingOfCopy(view, stored)),
  ];
}

function compareStorage(view: View, stored: Stored<StorageReservation>): Finding[] {
  const [nodeName = "", id = ""] = storages.parts(stored.key);
  const { owner } = stored.value;
  const ref = parseRefOf("block_storage", owner);
  const disk = ref === undefined ? undefined : view.records.find(blockStorages, ref)?.value;
  const keys = [
    storages.key(nodeName, id),
    ...keysOfOwner(owner),
    ...(ref === undefined ? [] : [replicas.key(ref, nodeName)]),
    ...(disk === undefined || disk.usedBy === "" ? [] : [virtualMachines.key(disk.usedBy)]),
  ];
  const about = { resource: owner ?? `storage/${id}`, nodeName, keys };
  if (disk?.nodeName === nodeName && disk.volumeId === id) {
    const [expected, found] = [numbersOf(reservationOf(disk)), numbersOf(stored.value)];
    if (expected === found || disk.transactionId !== "") return [];
    const repair = settleStorage(nodeName, id, stored, reservationOf(disk));
    return [{ code: "disk.storage_differs", expected, found, ...about, repair }];
  }
  const copy = ref === undefined ? undefined : view.records.find(replicas, ref, nodeName)?.value;
  if (disk !== undefined && copy?.volumeId === id) return [];
  return reservedForNobody(view, "storage.without_owner", storages, stored, about);
}

function missingOfDisk({ records }: View, disk: BlockStorage): Finding[] {
  const { name, nodeName, volumeId, usedBy } = disk;
  if (disk.transactionId !== "") return [];
  if (records.find(storages, nodeName, volumeId) !== undefined) return [];
  const keys = [blockStorages.key(name), ...(usedBy === "" ? [] : [virtualMachines.key(usedBy)])];
  return [missing(disk, { nodeName, volumeId }, keys)];
}

/** A copy of a base takes as much as the base. */
function missingOfCopy({ records }: View, { key, value }: Stored<Replica>): Finding[] {
  const [baseName = "", nodeName = ""] = replicas.parts(key);
  const { volumeId } = value;
  const base = records.find(blockStorages, baseName)?.value;
  if (base === undefined || base.transactionId !== "") return [];
  if (records.find(nodes, nodeName) === undefined) return [];
  if (records.find(storages, nodeName, volumeId) !== undefined) return [];
  return [missing(base, { nodeName, volumeId }, [blockStorages.key(baseName), key])];
}

function missing(
  disk: BlockStorage,
  { nodeName, volumeId }: Pick<BlockStorage, "nodeName" | "volumeId">,
  keys: readonly string[],
): Finding {
  return {
    code: "disk.storage_missing",
    resource: ownerOf(disk.name),
    nodeName,
    expected: numbersOf(reservationOf(disk)),
    found: "nothing",
    keys,
    repair: reserveStorageAgain(nodeName, volumeId, reservationOf(disk)),
  };
}
