import { VirtualMachine_VirtualMachineState as State } from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import type { Ref } from "../../../../util/ref.ts";
import type { Api } from "../../context.ts";
import { stateOf } from "../domain/domain-states.ts";
import { getVirtualMachine } from "../record.ts";

/**
 * Whether a network must not change because of the guest. A guest that powered off by itself still counts: its
 * node keeps its taps until the next boot or shutdown.
 *
 * @throws N0Error `not_found`; `unavailable` if its node does not answer.
 */
export async function usesInterfaces(api: Api, ref: Ref, signal: AbortSignal): Promise<boolean> {
  const { state, computeNodeName } = (await getVirtualMachine(api, ref)).value;
  if (state !== State.SHUTDOWN) return true;
  return stateOf(await api.observed.read(computeNodeName, ref, signal)) !== State.SHUTDOWN;
}
