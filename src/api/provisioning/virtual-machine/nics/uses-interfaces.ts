import { VirtualMachine_VirtualMachineState as State } from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import type { Ref } from "../../../../util/ref.ts";
import type { Api } from "../../context.ts";
import { stateOf } from "../domain/domain-states.ts";
import { getVirtualMachine } from "../record.ts";

/**
 * Whether a network must stay as it is for the guest. One that has gone off by itself is not enough: its
 * node keeps its taps until it is booted or shut down.
 *
 * @throws N0Error `not_found`; `unavailable` when its node does not answer.
 */
export async function usesInterfaces(api: Api, ref: Ref, signal: AbortSignal): Promise<boolean> {
  const { state, computeNodeName } = (await getVirtualMachine(api, ref)).value;
  if (state !== State.SHUTDOWN) return true;
  return stateOf(await api.observed.read(computeNodeName, ref, signal)) !== State.SHUTDOWN;
}
