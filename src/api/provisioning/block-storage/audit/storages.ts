import type { Stored } from "../../../../datastore/records.ts";
import type { BlockStorage } from "../../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { parseRefOf } from "../../../../util/ref.ts";
import type { Finding as FindingOf } from "../../../core/audit/finding.ts";
import type { View } from "../../../core/audit/view.ts";
import { keysOfOwner, numbersOf, reservedForNobody } from "../../../pool/inventory/audit.ts";
import { type StorageReservation, storages } from "../../../pool/inventory/collection.ts";
import type { Api } from "../../context.ts";
import { virtualMachines } from "../../virtual-machine/collection.ts";
import { blockStorages, replicas } from "../collection.ts";
import { reservationOf } from "../make.ts";
import type { Code } from "./codes.ts";
import { reserveStorageAgain, settleStorage } from "./repair.ts";

type Finding = FindingOf<Code, Api>;

/** What is reserved for block storages, against what they need. */
export function compareStorages(view: View): Finding[] {
  return [
    ...view.records.list(storages).flatMap((stored) => compareStorage(view, stored)),
    ...view.records.list(blockStorages).flatMap(({ value }) => missingOfDisk(view, value)),
  ];
}

function compareStorage(view: View, stored: Stored<StorageReservation>): Finding[] {
  const [nodeName = "", id = ""] = storages.parts(stored.key);
  if (!view.isWanted(nodeName)) return [];
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

function missingOfDisk({ records, isWanted }: View, disk: BlockStorage): Finding[] {
  const { name, nodeName, volumeId, usedBy } = disk;
  if (disk.transactionId !== "" || !isWanted(nodeName)) return [];
  if (records.find(storages, nodeName, volumeId) !== undefined) return [];
  return [
    {
      code: "disk.storage_missing",
      resource: `block_storage/${name}`,
      nodeName,
      expected: numbersOf(reservationOf(disk)),
      found: "nothing",
      keys: [blockStorages.key(name), ...(usedBy === "" ? [] : [virtualMachines.key(usedBy)])],
      repair: reserveStorageAgain(nodeName, volumeId, reservationOf(disk)),
    },
  ];
}
