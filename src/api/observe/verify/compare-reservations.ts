import type { Collection } from "../../../datastore/collection.ts";
import { objectKey } from "../../../datastore/key.ts";
import type { Stored } from "../../../datastore/records.ts";
import type { BlockStorage } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import type { VirtualMachine } from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { parseRef, parseRefOf } from "../../../util/ref.ts";
import {
  type ComputeReservation,
  computes,
  type StorageReservation,
  storages,
} from "../../pool/inventory/collection.ts";
import { nodes } from "../../pool/node/collection.ts";
import { blockStorages, replicas } from "../../provisioning/block-storage/collection.ts";
import { reservationOf } from "../../provisioning/block-storage/make.ts";
import { uuids, virtualMachines } from "../../provisioning/virtual-machine/collection.ts";
import { computeReservationOf } from "../../provisioning/virtual-machine/reservations.ts";
import type { Code } from "./codes.ts";
import type { Finding } from "./finding.ts";
import {
  dropRecords,
  releaseReservation,
  reserveComputeAgain,
  reserveStorageAgain,
  reserveUuidAgain,
  settleCompute,
  settleStorage,
} from "./repair-records.ts";
import type { View } from "./view.ts";

/** What is reserved on the nodes, against who needs it. */
export function compareReservations(view: View): Finding[] {
  return [
    ...view.records.list(computes).flatMap((stored) => compareCompute(view, stored)),
    ...view.records.list(storages).flatMap((stored) => compareStorage(view, stored)),
    ...view.records.list(uuids).flatMap((stored) => compareUuid(view, stored)),
    ...view.records.list(virtualMachines).flatMap(({ value }) => missingOfMachine(view, value)),
    ...view.records.list(blockStorages).flatMap(({ value }) => missingOfDisk(view, value)),
  ];
}

function keysOfOwner(owner: string | null): string[] {
  const ref = parseRef(owner ?? "");
  return ref === undefined ? [] : [objectKey(ref)];
}

function compareCompute(view: View, stored: Stored<ComputeReservation>): Finding[] {
  const [nodeName = "", name = ""] = computes.parts(stored.key);
  if (!view.isWanted(nodeName)) return [];
  const { owner } = stored.value;
  const ref = parseRefOf("virtual_machine", owner);
  const vm = ref === undefined ? undefined : view.records.find(virtualMachines, ref)?.value;
  const isOwned = vm?.computeNodeName === nodeName && vm.computeName === name;
  const keys = [computes.key(nodeName, name), ...keysOfOwner(owner)];
  const about = { resource: owner ?? `compute/${name}`, nodeName, keys };
  if (isOwned) {
    const [expected, found] = [numbersOf(computeReservationOf(vm)), numbersOf(stored.value)];
    if (expected === found || isPending(vm)) return [];
    const repair = settleCompute(nodeName, stored, vm);
    return [{ code: "vm.compute_differs", expected, found, ...about, repair }];
  }
  return ofNobody(view, "compute.without_owner", computes, stored, about);
}

function numbersOf(of: object): string {
  return Object.entries(of)
    .filter(([field]) => /^(?:request|limit)/.test(field))
    .map(([field, value]) => `${field} ${String(value)}`)
    .sort()
    .join(", ");
}

function isPending({ transactionId }: VirtualMachine | BlockStorage): boolean {
  return transactionId !== "";
}

type About = Pick<Finding, "resource" | "nodeName" | "keys">;

/** Made by hand it needs nobody but its node. */
function ofNobody<T extends ComputeReservation | StorageReservation>(
  { records }: View,
  code: Code,
  of: Collection<T>,
  stored: Stored<T>,
  about: About,
): Finding[] {
  const { owner } = stored.value;
  if (owner === null && records.find(nodes, about.nodeName) !== undefined) return [];
  const found = `${stored.key} of ${owner ?? "a node that does not exist"}`;
  const repair = releaseReservation(of, stored);
  return [{ code, expected: "nothing", found, ...about, repair }];
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
    if (expected === found || isPending(disk)) return [];
    const repair = settleStorage(nodeName, id, stored, reservationOf(disk));
    return [{ code: "disk.storage_differs", expected, found, ...about, repair }];
  }
  const copy = ref === undefined ? undefined : view.records.find(replicas, ref, nodeName)?.value;
  if (disk !== undefined && copy?.volumeId === id) return [];
  return ofNobody(view, "storage.without_owner", storages, stored, about);
}

function compareUuid({ records, isWanted }: View, stored: Stored<{ usedBy: string }>): Finding[] {
  const uuid = uuids.parts(stored.key)[0] ?? "";
  const name = stored.value.usedBy;
  if (!isWanted("") || records.find(virtualMachines, name)?.value.uuid === uuid) return [];
  return [
    {
      code: "uuid.without_owner",
      resource: `virtual_machine/${name}`,
      nodeName: "",
      expected: "nothing",
      found: `uuid ${uuid} taken by "${name}"`,
      keys: [virtualMachines.key(name)],
      repair: dropRecords([stored]),
    },
  ];
}

function missingOfMachine({ records, isWanted }: View, vm: VirtualMachine): Finding[] {
  const { name, computeNodeName: nodeName, computeName, uuid } = vm;
  if (isPending(vm)) return [];
  const about = {
    resource: `virtual_machine/${name}`,
    nodeName,
    keys: [virtualMachines.key(name)],
  };
  const findings: Finding[] = [];
  const reserved = records.find(computes, nodeName, computeName);
  if (isWanted(nodeName) && reserved?.value.owner !== about.resource) {
    const expected = numbersOf(computeReservationOf(vm));
    const found = reserved === undefined ? "nothing" : `reserved for ${reserved.value.owner}`;
    const repair = reserved === undefined ? { repair: reserveComputeAgain(nodeName, vm) } : {};
    findings.push({ code: "vm.compute_missing", expected, found, ...about, ...repair });
  }
  const user = records.find(uuids, uuid)?.value.usedBy;
  if (isWanted("") && user !== name) {
    const found = user === undefined ? "free" : `taken by "${user}"`;
    const repair = user === undefined ? { repair: reserveUuidAgain(uuid, name) } : {};
    const expected = `uuid ${uuid} taken by "${name}"`;
    findings.push({ code: "vm.uuid_missing", expected, found, ...about, nodeName: "", ...repair });
  }
  return findings;
}

function missingOfDisk({ records, isWanted }: View, disk: BlockStorage): Finding[] {
  const { name, nodeName, volumeId, usedBy } = disk;
  if (isPending(disk) || !isWanted(nodeName)) return [];
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
