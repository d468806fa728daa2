import { DomainState } from "../../../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import { VirtualMachine_VirtualMachineState as State } from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";

/** What is on the node, in the original's words. UNSPECIFIED where nothing is there that should be. */
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

/** With its memory there, so that its disks may be written to at any moment. */
export function isActiveDomain(domain: DomainState): boolean {
  const state = stateOf(domain);
  return state === State.RUNNING || state === State.PAUSED;
}
