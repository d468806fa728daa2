import type { Stored } from "../../../../datastore/records.ts";
import type { BlockStorage } from "../../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { formatRef, nodeRef, parseRefOf, type Ref } from "../../../../util/ref.ts";
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
import { blockStorages, type Replica, replicas } from "../collection.ts";
import { reservationOf } from "../make.ts";
import { withUser } from "../record.ts";
import type { Code } from "./codes.ts";
import { nodeOfCopy, nodeOfDisk } from "./records.ts";
import { reserveStorageAgain, settleStorage } from "./repair.ts";

type Finding = FindingOf<Code, Api>;

/** Compares the reservations for block storages with their sizes. */
export function compareStorages(view: View): Finding[] {
  return [
    ...listWanted(view, storages, nodeOfStorage).flatMap((stored) => compareStorage(view, stored)),
    ...listWanted(view, blockStorages, nodeOfDisk).flatMap((stored) => missingOfDisk(view, stored)),
    ...listWanted(view, replicas, nodeOfCopy).flatMap((stored) => missingOfCopy(view, stored)),
  ];
}

function compareStorage(view: View, stored: Stored<StorageReservation>): Finding[] {
  const [nodeName = "", id = ""] = storages.parts(stored.key);
  const { owner } = stored.value;
  const ref = parseRefOf("block_storage", owner);
  const disk = ref === undefined ? undefined : view.records.find(blockStorages, ref)?.value;
  const about = () => {
    const keys = new Set([
      storages.key(nodeName, id),
      ...keysOfOwner(owner),
      ...(ref === undefined ? [] : [replicas.key(ref, nodeName)]),
      ...(ref === undefined || disk === undefined ? [] : withUser(ref, disk)),
    ]);
    return { resource: owner ?? `storage/${id}`, nodeName, keys: [...keys] };
  };
  if (ref !== undefined && disk?.nodeName === nodeName && disk.volumeId === id) {
    const wanted = reservationOf(ref, disk);
    const [expected, found] = [numbersOf(wanted), numbersOf(stored.value)];
    if (expected === found || disk.transactionId !== "") return [];
    const repair = settleStorage(nodeName, id, stored, wanted);
    return [{ code: "disk.storage_differs", expected, found, ...about(), repair }];
  }
  const copy = ref === undefined ? undefined : view.records.find(replicas, ref, nodeName)?.value;
  if (disk !== undefined && copy?.volumeId === id) return [];
  return reservedForNobody(view, "storage.without_owner", storages, stored, about());
}

function missingOfDisk({ records }: View, { key, value: disk }: Stored<BlockStorage>): Finding[] {
  const { nodeName, volumeId } = disk;
  if (disk.transactionId !== "") return [];
  if (records.find(storages, nodeName, volumeId) !== undefined) return [];
  const ref = blockStorages.refOf(key);
  return [missing(ref, disk, { nodeName, volumeId }, withUser(ref, disk))];
}

/** A copy of a base takes as much space as the base. */
function missingOfCopy({ records }: View, stored: Stored<Replica>): Finding[] {
  const { key } = stored;
  const { volumeId } = stored.value;
  const nodeName = nodeOfCopy(stored);
  const ref = replicas.refOf(key);
  const base = records.find(blockStorages, ref)?.value;
  if (base === undefined || base.transactionId !== "") return [];
  if (records.find(nodes, nodeRef(nodeName)) === undefined) return [];
  if (records.find(storages, nodeName, volumeId) !== undefined) return [];
  return [missing(ref, base, { nodeName, volumeId }, [blockStorages.key(ref), key])];
}

function missing(
  ref: Ref,
  disk: BlockStorage,
  { nodeName, volumeId }: Pick<BlockStorage, "nodeName" | "volumeId">,
  keys: readonly string[],
): Finding {
  const wanted = reservationOf(ref, disk);
  return {
    code: "disk.storage_missing",
    resource: formatRef(ref),
    nodeName,
    expected: numbersOf(wanted),
    found: "nothing",
    keys,
    repair: reserveStorageAgain(nodeName, volumeId, wanted),
  };
}
