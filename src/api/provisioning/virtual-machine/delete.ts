import { remove } from "../../../datastore/collection.ts";
import { merge, type Writes } from "../../../datastore/datastore.ts";
import { BlockStorage_BlockStorageState as BlockStorageState } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import {
  type VirtualMachine,
  VirtualMachineService,
} from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { type Later, later, type Retriable } from "../../../transaction/step.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import type { Call } from "../../core/context.ts";
import { namesToRefs } from "../../core/saga/older-input.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { willDelete } from "../../core/saga/tasks/going.ts";
import { DONE } from "../../core/saga/tx.ts";
import { refOf } from "../../core/scope.ts";
import { interfaces } from "../../network/interface/collection.ts";
import { releaseInterface } from "../../network/interface/interfaces.ts";
import { networkBeside } from "../../network/network/collection.ts";
import { computes } from "../../pool/inventory/collection.ts";
import { release } from "../../pool/inventory/reservations.ts";
import { blockStorageBeside, blockStorages } from "../block-storage/collection.ts";
import { settled as settledDisk } from "../block-storage/record.ts";
import type { Api, SagaContext, Tx } from "../context.ts";
import { userDatas, uuids, virtualMachines } from "./collection.ts";
import { removeDomainLater } from "./domain/domain-steps.ts";
import { tapsOf } from "./domain/plan.ts";
import { readNics } from "./domain/plan-input.ts";
import { removeTapLater } from "./domain/tap-steps.ts";
import { getVirtualMachine, keysOf, pending, virtualMachineSteps } from "./record.ts";

/**
 * The last step of a delete, after everything is removed from the node. It only writes records: frees the
 * reservations, makes the block storages available, and frees the name.
 */
export const forgetVirtualMachine: Retriable<SagaContext, { readonly ref: Ref }> = {
  name: "virtual_machine.forget",
  today: namesToRefs({ ref: [virtualMachines.kind, "name"] }),
  settles: ({ ref }) => ({ ref, after: null }),
  async act(context, { ref }, { transactionId }) {
    const { api, held } = context;
    const stored = await api.records.find(virtualMachines, ref);
    if (stored?.value.transactionId !== transactionId) return;
    await api.datastore.batch(
      merge(
        held.remove(virtualMachines, ref, stored.value),
        ...(await releaseAll(context, ref, stored.value)),
      ),
    );
  },
};

/** What only this virtual machine has, on any node: its UUID, its user data, its interfaces and their addresses. */
export async function releaseIdentity(api: Api, ref: Ref, vm: VirtualMachine): Promise<Writes> {
  const writes: Writes[] = [remove(uuids, vm.uuid)];
  if (vm.userDataBytes > 0) writes.push(remove(userDatas, ref));
  for (const [i, { networkName }] of vm.nics.entries()) {
    const network = networkBeside(ref, networkName);
    const reserved = await api.records.find(interfaces, network, vm.networkInterfaceNames[i]!);
    if (reserved?.value.owner === formatRef(ref)) {
      writes.push(releaseInterface(network, reserved.value));
    }
  }
  return merge(...writes);
}

async function releaseAll(
  { api, held }: SagaContext,
  ref: Ref,
  vm: VirtualMachine,
): Promise<Writes[]> {
  const writes = [
    await releaseIdentity(api, ref, vm),
    release(computes, vm.computeNodeName, vm.computeName),
  ];
  for (const diskName of vm.blockStorageNames) {
    const diskRef = blockStorageBeside(ref, diskName);
    const disk = await api.records.find(blockStorages, diskRef);
    // The same transaction may delete the block storage too: then it is PENDING.
    if (disk?.value.usedBy === vm.name && disk.value.state === BlockStorageState.IN_USE) {
      writes.push(
        held.put(
          blockStorages,
          diskRef,
          settledDisk(disk.value, BlockStorageState.AVAILABLE),
          disk.value,
        ),
      );
    }
  }
  return writes;
}

/**
 * Stops and removes a virtual machine. Its block storages stay.
 *
 * @throws N0Error `not_found`; `failed_precondition` if it needs an operator; `unavailable` if its node does
 * not answer; `aborted` if it or a block storage is busy.
 */
export async function deleteVirtualMachine(api: Api, call: Call, name: string): Promise<void> {
  const ref = refOf(call, virtualMachines, name);
  const keys = async () => keysOf(ref, (await getVirtualMachine(api, ref)).value);
  const options = { method: VirtualMachineService.method.deleteVirtualMachine, keys };
  await runSaga(api, call, options, async (tx) =>
    tx.answer(DONE, ...(await removeVirtualMachine(api, tx, ref))),
  );
}

/** Marks it PENDING. @returns the steps after the pivot. For its errors see `deleteVirtualMachine`. */
async function removeVirtualMachine(api: Api, tx: Tx, ref: Ref): Promise<Later[]> {
  const vm = (await getVirtualMachine(api, ref)).value;
  const taps = tapsOf(ref, vm, await readNics(api, ref, vm));
  // Everything that can fail comes before the pivot, so this finds out now that a node is silent.
  if (!api.agents.isLost(vm.computeNodeName)) {
    await api.observed.read(vm.computeNodeName, ref, tx.signal);
  }
  await virtualMachineSteps.replace(tx, ref, vm, pending(vm, tx.id));
  willDelete(ref);
  return [
    later(removeDomainLater, { nodeName: vm.computeNodeName, ref }),
    ...taps.map((tap) => later(removeTapLater, tap)),
    later(forgetVirtualMachine, { ref }),
  ];
}

/** Nothing in a virtual machine prevents that. */
export const withProject = {
  async remove(api: Api, tx: Tx, refs: readonly Ref[]) {
    const laters: Later[] = [];
    for (const ref of refs) laters.push(...(await removeVirtualMachine(api, tx, ref)));
    return laters;
  },
};
