import { type Collection, put, putNew, remove, unchanged } from "../../../datastore/collection.ts";
import { merge } from "../../../datastore/datastore.ts";
import { openCollection } from "../../../datastore/datastore-journal.ts";
import type { Stored } from "../../../datastore/records.ts";
import type { SurveyedCapacity } from "../../../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import type { VirtualMachine } from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { deviceName } from "../../../util/checksum.ts";
import { notFound } from "../../../util/errors.ts";
import {
  type InterfaceReservation,
  interfaceAllocations,
  interfaces,
} from "../../network/interface/collection.ts";
import { reserveInterface, uniques } from "../../network/interface/interfaces.ts";
import { networks } from "../../network/network/collection.ts";
import { getNetwork } from "../../network/network/record.ts";
import type { ComputeReservation, StorageReservation } from "../../pool/inventory/collection.ts";
import { release } from "../../pool/inventory/reservations.ts";
import {
  changeCompute,
  changeStorage,
  reserveCompute,
  reserveStorage,
} from "../../pool/inventory/steps.ts";
import { nodes } from "../../pool/node/collection.ts";
import type { reservationOf } from "../../provisioning/block-storage/make.ts";
import { ownerOf } from "../../provisioning/virtual-machine/record.ts";
import {
  computeReservationOf,
  reserveUuid,
} from "../../provisioning/virtual-machine/reservations.ts";
import { commit } from "./commit.ts";
import type { Repair } from "./finding.ts";

type UsedBy = { readonly usedBy: string };

export function takeCapacity(nodeName: string, capacity: SurveyedCapacity): Repair {
  return async (tx) => {
    const { api, held } = tx.context;
    const stored = await api.records.find(nodes, nodeName);
    if (stored === undefined) throw notFound("node", nodeName);
    const { cpuMilliCores, memoryBytes, storageBytes } = capacity;
    const node = { ...stored.value, cpuMilliCores, memoryBytes, storageBytes };
    await commit(tx, held.put(nodes, nodeName, node, stored.value));
  };
}

/** Removes the records if they are still as they were seen. */
export function dropRecords(stored: readonly Stored<unknown>[]): Repair {
  return (tx) =>
    commit(tx, {
      deletes: stored.map(({ key }) => key),
      conditions: stored.map(({ key, revision }) => ({ key, revision })),
    });
}

export function closeTransaction(id: string): Repair {
  return (tx) => commit(tx, remove(openCollection, id));
}

export function releaseReservation<T>(of: Collection<T>, { key, revision }: Stored<T>): Repair {
  const [nodeName = "", id = ""] = of.parts(key);
  return async (tx) => {
    const isNode = (await tx.context.api.records.find(nodes, nodeName)) !== undefined;
    const writes = isNode ? release(of, nodeName, id) : remove(of, nodeName, id);
    await commit(tx, merge(writes, unchanged(of, [nodeName, id], revision)));
  };
}

export function reserveComputeAgain(nodeName: string, vm: VirtualMachine): Repair {
  return async (tx) => {
    await tx.run(reserveCompute, { nodeName, compute: computeReservationOf(vm) });
    await commit(tx, {});
  };
}

export function reserveStorageAgain(
  nodeName: string,
  id: string,
  storage: ReturnType<typeof reservationOf>,
): Repair {
  return async (tx) => {
    await tx.run(reserveStorage, { nodeName, id, storage });
    await commit(tx, {});
  };
}

export function settleCompute(
  nodeName: string,
  stored: Stored<ComputeReservation>,
  vm: VirtualMachine,
): Repair {
  const { counted: _, ...before } = stored.value;
  const after = { ...before, ...computeReservationOf(vm) };
  return async (tx) => {
    await tx.run(changeCompute, { nodeName, before, after });
    await commit(tx, tx.context.api.inventory.computes.settle(nodeName, after.name, after));
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
    await commit(tx, tx.context.api.inventory.storages.settle(nodeName, id, after));
  };
}

export function reserveUuidAgain(uuid: string, name: string): Repair {
  return async (tx) => {
    await tx.run(reserveUuid, { uuid, name });
    await commit(tx, {});
  };
}

/** What of its addresses is another's stays. */
export function releaseInterfaceOfNobody(
  networkName: string,
  { value, revision }: Stored<InterfaceReservation>,
): Repair {
  return async (tx) => {
    const { records } = tx.context.api;
    const own = [];
    for (const { of, parts } of uniques(networkName, value)) {
      const stored = await records.find<UsedBy>(of, ...parts);
      if (stored?.value.usedBy === value.name) own.push(remove<UsedBy>(of, ...parts));
    }
    const isNetwork = (await records.find(networks, networkName)) !== undefined;
    await commit(
      tx,
      merge(
        remove(interfaces, networkName, value.name),
        unchanged(interfaces, [networkName, value.name], revision),
        ...own,
        isNetwork ? put(interfaceAllocations, [networkName], {}) : {},
      ),
    );
  };
}

/** Takes what is free of what the interface says it has. */
export function takeUniques(
  networkName: string,
  { value, revision }: Stored<InterfaceReservation>,
): Repair {
  return async (tx) => {
    const missing = [];
    for (const { of, parts } of uniques(networkName, value)) {
      const stored = await tx.context.api.records.find<UsedBy>(of, ...parts);
      if (stored === undefined) missing.push(putNew<UsedBy>(of, parts, { usedBy: value.name }));
    }
    const same = unchanged(interfaces, [networkName, value.name], revision);
    await commit(tx, merge(...missing, same));
  };
}

/** With the device that its domain has, or where it has none the one of its name. */
export function reserveInterfaceAgain(
  vm: VirtualMachine,
  index: number,
  tapOfDomain: string | undefined,
): Repair {
  const nic = vm.nics[index]!;
  const name = vm.networkInterfaceNames[index] ?? "";
  return async (tx) => {
    const network = await getNetwork(tx.context.api, nic.networkName);
    await tx.run(reserveInterface, {
      networkName: nic.networkName,
      networkRevision: network.revision,
      interface: {
        name,
        owner: ownerOf(vm.name),
        annotations: { ...nic.annotations },
        hardwareAddress: nic.hardwareAddress,
        ipv4Address: nic.ipv4Address,
        ipv6Address: nic.ipv6Address,
        nodeName: vm.computeNodeName,
        tapName: tapOfDomain ?? deviceName(name),
      },
    });
    await commit(tx, {});
  };
}
