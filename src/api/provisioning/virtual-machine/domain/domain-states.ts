import { DomainState } from "../../../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import { VirtualMachine_VirtualMachineState as State } from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";

/** The state on the node, in the original's words. UNSPECIFIED if the domain is missing there. */
export function stateOf(domain: DomainState): State {
  switch (domain) {
    case DomainState.RUNNING:
      return State.RUNNING;
    case DomainState.PAUSED:
    case DomainState.OUT_OF_SPACE:
      return State.PAUSED;
    case DomainState.SHUT_OFF:
    case DomainState.CRASHED:
      return State.SHUTDOWN;
    default:
      return State.VIRTUAL_MACHINE_UNSPECIFIED;
  }
}

/** With its memory, so that the guest may write to its disks at any moment. */
export function isActiveDomain(domain: DomainState): boolean {
  const state = stateOf(domain);
  return state === State.RUNNING || state === State.PAUSED;
}
