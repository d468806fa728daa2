import {
  type SetNicLimitsRequest,
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
  VirtualMachineService,
} from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import type { Call } from "../../../core/context.ts";
import { refOf } from "../../../core/scope.ts";
import type { Api } from "../../context.ts";
import { virtualMachines } from "../collection.ts";
import { tapsOf } from "../domain/plan.ts";
import { readNics } from "../domain/plan-input.ts";
import { limitTap } from "../domain/tap-steps.ts";
import { onSettled } from "../power/on-settled.ts";
import { changed, settled } from "../record.ts";
import { indexOfNic } from "./detach-nic.ts";
import { removeLeftTaps } from "./left-taps.ts";
import { checkLimits, limitsOf, tapLimits } from "./limits.ts";

/**
 * Changes the limits of a nic at once, if its virtual machine is active, else from its next boot on.
 *
 * @throws N0Error `not_found`, `invalid_argument`, `unavailable`.
 */
export async function setNicLimits(
  api: Api,
  call: Call,
  request: SetNicLimitsRequest,
): Promise<VirtualMachine> {
  checkLimits("", request);
  const ref = refOf(call, virtualMachines, request.name);
  const { setNicLimits: method } = VirtualMachineService.method;
  return await onSettled(api, call, method, ref, async (tx, vm, state) => {
    const index = indexOfNic(ref, vm, request.networkInterfaceName);
    const after = changed(vm, (copy) => {
      Object.assign(copy.nics[index]!, limitsOf(request));
    });
    if (state === State.RUNNING || state === State.PAUSED) {
      const tap = tapsOf(ref, vm, await readNics(api, ref, vm))[index]!;
      await tx.run(limitTap, {
        nodeName: tap.nodeName,
        tap,
        before: tapLimits(vm.nics[index]!),
        after: tapLimits(after.nics[index]!),
      });
    }
    const left = await removeLeftTaps(api, ref, vm, state);
    return await tx.answerRecord(virtualMachines, ref, settled(after, state), vm, ...left);
  });
}
