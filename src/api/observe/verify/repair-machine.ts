import type { Domain, DomainState } from "../../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import {
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
} from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { later } from "../../../transaction/step.ts";
import { virtualMachines } from "../../provisioning/virtual-machine/collection.ts";
import type {
  DomainPlace,
  DomainShape,
  SeedContent,
} from "../../provisioning/virtual-machine/domain-messages.ts";
import { stateOf } from "../../provisioning/virtual-machine/domain-states.ts";
import {
  defineDomain,
  redefineDomain,
  removeDomainLater,
  restoreSeed,
} from "../../provisioning/virtual-machine/domain-steps.ts";
import type { Plan } from "../../provisioning/virtual-machine/plan.ts";
import {
  pending,
  settled,
  virtualMachineSteps,
} from "../../provisioning/virtual-machine/record.ts";
import { removeTapLater } from "../../provisioning/virtual-machine/tap-steps.ts";
import { commit } from "./commit.ts";
import type { Repair } from "./finding.ts";

/** Shut off, whatever it was: what its guest had in memory is gone. */
export function defineMissing(vm: VirtualMachine, plan: Plan): Repair {
  return async (tx) => {
    await virtualMachineSteps.replace(tx, vm, pending(vm, tx.id));
    await tx.run(defineDomain, plan.domain);
    await commit(
      tx,
      {},
      ...plan.taps.map((tap) => later(removeTapLater, tap)),
      virtualMachineSteps.settleLater(settled(vm, State.SHUTDOWN)),
    );
  };
}

/** `there` is how its node has it, to go back to. */
export function redefine(wanted: DomainShape, there: Domain): Repair {
  const before: DomainShape = {
    ...wanted,
    uuid: there.uuid,
    vcpus: there.vcpus,
    memoryBytes: there.memoryBytes.toString(),
    volumeIds: there.volumeIds,
    nics: there.nics.map(({ tapName, hardwareAddress }) => ({ tapName, hardwareAddress })),
  };
  return async (tx) => {
    await tx.run(redefineDomain, { before, after: wanted });
    await commit(tx, {});
  };
}

export function removeDomain(place: DomainPlace): Repair {
  return (tx) => commit(tx, {}, later(removeDomainLater, place));
}

/** The state that the node shows; with a guest that is off goes what a shutdown removes. */
export function takeState(vm: VirtualMachine, plan: Plan, state: State): Repair {
  const after = settled(vm, state);
  return async (tx) => {
    if (state !== State.SHUTDOWN) {
      return await commit(tx, tx.context.held.put(virtualMachines, vm.name, after, vm));
    }
    await virtualMachineSteps.replace(tx, vm, pending(vm, tx.id));
    await commit(
      tx,
      {},
      ...plan.taps.map((tap) => later(removeTapLater, tap)),
      virtualMachineSteps.settleLater(after),
    );
  };
}

/** For one that says PENDING and is nobody's work. */
export function settleMachine(vm: VirtualMachine, state: DomainState): Repair {
  const after = settled(vm, stateOf(state));
  return (tx) => commit(tx, tx.context.held.put(virtualMachines, vm.name, after, vm));
}

export function writeSeed(seed: SeedContent): Repair {
  return (tx) => commit(tx, {}, later(restoreSeed, seed));
}
