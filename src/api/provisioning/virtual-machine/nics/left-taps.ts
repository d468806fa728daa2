import {
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
} from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { type Later, later } from "../../../../transaction/step.ts";
import type { Ref } from "../../../../util/ref.ts";
import type { Api } from "../../context.ts";
import { tapsOf } from "../domain/plan.ts";
import { readNics } from "../domain/plan-input.ts";
import { removeTapLater } from "../domain/tap-steps.ts";

/**
 * A guest that powered off by itself has left its taps on the node, while the record still says that it runs. So
 * whoever writes SHUTDOWN into that record removes the taps too: for all others, a SHUTDOWN one has none.
 *
 * @param state The state that the node reports.
 */
export async function removeLeftTaps(
  api: Api,
  ref: Ref,
  vm: VirtualMachine,
  state: State,
): Promise<readonly Later[]> {
  if (state !== State.SHUTDOWN || vm.state === State.SHUTDOWN) return [];
  return tapsOf(ref, vm, await readNics(api, ref, vm)).map((tap) => later(removeTapLater, tap));
}
