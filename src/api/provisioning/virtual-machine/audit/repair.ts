import type { Stored } from "../../../../datastore/records.ts";
import type { Domain, DomainState } from "../../../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import type { BlockStorage } from "../../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import {
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
} from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { later } from "../../../../transaction/step.ts";
import { deviceName } from "../../../../util/checksum.ts";
import { parseRefOf, type Ref, refOnNode } from "../../../../util/ref.ts";
import type * as audit from "../../../core/audit/finding.ts";
import { reserveInterface } from "../../../network/interface/interfaces.ts";
import { networkBeside, networks } from "../../../network/network/collection.ts";
import { getNetwork } from "../../../network/network/record.ts";
import type { ComputeReservation } from "../../../pool/inventory/collection.ts";
import { changeCompute, reserveCompute } from "../../../pool/inventory/steps.ts";
import type { Api } from "../../context.ts";
import { claim } from "../claims.ts";
import { virtualMachines } from "../collection.ts";
import type { DomainPlace, DomainShape, SeedContent } from "../domain/domain-messages.ts";
import { stateOf } from "../domain/domain-states.ts";
import {
  defineDomain,
  redefineDomain,
  removeDomainLater,
  restoreSeed,
} from "../domain/domain-steps.ts";
import type { Plan } from "../domain/plan.ts";
import { moveTap, removeTapLater, restoreLimits, type Tap } from "../domain/tap-steps.ts";
import { NO_LIMITS } from "../nics/limits.ts";
import { nicOnNode, reservation } from "../nics/nics.ts";
import { numberOfNic } from "../nics/numbers.ts";
import { restOff } from "../power/shutdown.ts";
import { pending, settled, virtualMachineSteps } from "../record.ts";
import { computeReservationOf, reserveUuid } from "../reservations.ts";

type Repair = audit.Repair<Api>;

export function claimDisk(vm: Ref, disk: BlockStorage): Repair {
  return async (tx) => {
    await claim(tx, vm, disk);
    await tx.commit({});
  };
}

/** Shut off, in any former state: the memory of its guest is lost. */
export function defineMissing(ref: Ref, vm: VirtualMachine, plan: Plan): Repair {
  return async (tx) => {
    await virtualMachineSteps.replace(tx, ref, vm, pending(vm, tx.id));
    await tx.run(defineDomain, plan.domain);
    await tx.commit({}, ...restOff(ref, vm, plan.taps));
  };
}

/** `there` is the definition on its node, for the undo. */
export function redefine(wanted: DomainShape, there: Domain): Repair {
  const before: DomainShape = {
    ...wanted,
    uuid: there.uuid,
    vcpus: there.vcpus,
    memoryBytes: there.memoryBytes.toString(),
    volumeIds: there.volumeIds,
    nics: there.nics.map(({ tapName, hardwareAddress, pciSlot, mtu }) => ({
      ...{ tapName, hardwareAddress },
      ...(pciSlot === 0 ? {} : { pciSlot }),
      ...(mtu === 0 ? {} : { mtu }),
    })),
  };
  return async (tx) => {
    await tx.run(redefineDomain, { before, after: wanted });
    await tx.commit({});
  };
}

export function removeDomain(place: DomainPlace): Repair {
  return (tx) => tx.commit({}, later(removeDomainLater, place));
}

/** Takes the state of the node. If the guest is off, also removes what a shutdown removes. */
export function takeState(ref: Ref, vm: VirtualMachine, plan: Plan, state: State): Repair {
  const after = settled(vm, state);
  return async (tx) => {
    if (state !== State.SHUTDOWN) {
      return await tx.commit(tx.context.held.put(virtualMachines, ref, after, vm));
    }
    await virtualMachineSteps.replace(tx, ref, vm, pending(vm, tx.id));
    await tx.commit({}, ...restOff(ref, vm, plan.taps));
  };
}

/** For a virtual machine that is PENDING without a transaction. */
export function settleMachine(ref: Ref, vm: VirtualMachine, state: DomainState): Repair {
  const after = settled(vm, stateOf(state));
  return (tx) => tx.commit(tx.context.held.put(virtualMachines, ref, after, vm));
}

export function writeSeed(seed: SeedContent): Repair {
  return (tx) => tx.commit({}, later(restoreSeed, seed));
}

export function connectTap(tap: Tap): Repair {
  return (tx) => tx.commit({}, later(moveTap, tap));
}

export function limitAgain(tap: Tap): Repair {
  const { nodeName, limits: after = NO_LIMITS } = tap;
  const input = { nodeName, tap, before: NO_LIMITS, after };
  return (tx) => tx.commit({}, later(restoreLimits, input));
}

/** `owner` is from the tap's mark. Anybody may remove a tap without a mark. */
export function removeTap(
  nodeName: string,
  tapName: string,
  owner: string,
  networkName: string,
): Repair {
  const tap: Tap = {
    nodeName,
    tapName,
    ref: parseRefOf(virtualMachines.kind, owner) ?? refOnNode(virtualMachines.kind, owner),
    // Removing the last tap removes its network too. A tap in no network removes none.
    network: refOnNode(networks.kind, networkName === "" ? "none" : networkName),
    ipv4Gateway: "",
    ipv6Gateway: "",
  };
  return (tx) => tx.commit({}, later(removeTapLater, tap));
}

export function reserveComputeAgain(nodeName: string, ref: Ref, vm: VirtualMachine): Repair {
  return async (tx) => {
    await tx.run(reserveCompute, { nodeName, compute: computeReservationOf(ref, vm) });
    await tx.commit({});
  };
}

export function settleCompute(
  nodeName: string,
  stored: Stored<ComputeReservation>,
  ref: Ref,
  vm: VirtualMachine,
): Repair {
  const { counted: _, ...before } = stored.value;
  const after = { ...before, ...computeReservationOf(ref, vm) };
  return async (tx) => {
    await tx.run(changeCompute, { nodeName, before, after });
    await tx.commit(tx.context.api.inventory.computes.settle(nodeName, after.name, after));
  };
}

export function reserveUuidAgain(uuid: string, ref: Ref): Repair {
  return async (tx) => {
    await tx.run(reserveUuid, { uuid, ref });
    await tx.commit({});
  };
}

/** With the device of its domain, or without one the device of its name. */
export function reserveInterfaceAgain(
  ref: Ref,
  vm: VirtualMachine,
  index: number,
  tapOfDomain: string | undefined,
): Repair {
  const nic = vm.nics[index]!;
  const name = vm.networkInterfaceNames[index] ?? "";
  return async (tx) => {
    const network = await getNetwork(tx.context.api, networkBeside(ref, nic.networkName));
    const place = {
      nodeName: vm.computeNodeName,
      tapName: tapOfDomain ?? deviceName(nicOnNode(ref, numberOfNic(ref, name))),
    };
    await tx.run(reserveInterface, reservation(ref, { ...nic, name }, network, nic, place));
    await tx.commit({});
  };
}
