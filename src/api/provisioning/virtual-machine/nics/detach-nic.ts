import {
  type DetachNicRequest,
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
  VirtualMachineService,
} from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { later } from "../../../../transaction/step.ts";
import { N0Error } from "../../../../util/errors.ts";
import { formatRef, type Ref } from "../../../../util/ref.ts";
import type { Call } from "../../../core/context.ts";
import { throwIfPending } from "../../../core/saga/pending.ts";
import { refOf } from "../../../core/scope.ts";
import { ownInterfaceName } from "../../../network/interface/names.ts";
import { networkBeside } from "../../../network/network/collection.ts";
import type { Api } from "../../context.ts";
import { virtualMachines } from "../collection.ts";
import { redefineDomain, restoreSeed } from "../domain/domain-steps.ts";
import { planOf } from "../domain/plan.ts";
import { readPlanInput } from "../domain/plan-input.ts";
import { removeTapLater } from "../domain/tap-steps.ts";
import { onSettled } from "../power/on-settled.ts";
import { changed, keysOf, settled, virtualMachineSteps } from "../record.ts";
import { throwUnlessStable } from "./attach-nic.ts";
import { removeLeftTaps } from "./left-taps.ts";
import { releaseNic, unplugNic } from "./nic-steps.ts";

const DEADLINE_SECONDS = 20;

/**
 * Takes a nic from a virtual machine that runs, or is shut down, and frees its addresses.
 *
 * @throws N0Error `not_found`; `failed_precondition` if it is paused, or its guest does not release the nic in
 * time; `unavailable`.
 */
export async function detachNic(
  api: Api,
  call: Call,
  { name, networkInterfaceName, deadlineSeconds }: DetachNicRequest,
): Promise<VirtualMachine> {
  const ref = refOf(call, virtualMachines, name);
  const { detachNic: method } = VirtualMachineService.method;
  return await onSettled(api, call, method, ref, async (tx, vm, state) => {
    throwUnlessStable(ref, state);
    const index = indexOfNic(ref, vm, networkInterfaceName);
    await throwIfPending(api, keysOf(ref, vm), [tx.id]);
    const input = await readPlanInput(api, ref, vm);
    const before = planOf(ref, vm, input);
    const after = changed(vm, (copy) => {
      copy.nics.splice(index, 1);
      copy.networkInterfaceNames.splice(index, 1);
    });
    const plan = planOf(ref, after, { ...input, nics: input.nics.toSpliced(index, 1) });
    const tap = before.taps[index]!;
    if (state === State.RUNNING) {
      await tx.run(unplugNic, {
        ref,
        nodeName: vm.computeNodeName,
        nic: before.domain.nics[index]!,
        deadlineSeconds: deadlineSeconds || DEADLINE_SECONDS,
        tap,
      });
    } else {
      await tx.run(redefineDomain, { before: before.domain, after: plan.domain });
    }
    const network = networkBeside(ref, vm.nics[index]!.networkName);
    const interfaceName = vm.networkInterfaceNames[index]!;
    const final = settled(after, state);
    const left = await removeLeftTaps(api, ref, vm, state);
    return await tx.answer(
      final,
      ...(left.length > 0 ? left : [later(removeTapLater, tap)]),
      later(releaseNic, { ref, network, interfaceName }),
      later(restoreSeed, plan.seed),
      virtualMachineSteps.settleLater(ref, final),
    );
  });
}

/** @throws N0Error `not_found`. */
export function indexOfNic(ref: Ref, vm: VirtualMachine, asked: string): number {
  const names = vm.networkInterfaceNames;
  const index = names.findIndex((name) => name === asked || ownInterfaceName(name) === asked);
  if (index !== -1) return index;
  const there = names.length === 0 ? "it has no nics" : `it has ${names.join(", ")}`;
  throw new N0Error(
    "not_found",
    `network_interface_name: virtual machine "${ref.name}" has no such nic: ${there}`,
    { field: "network_interface_name", resource: formatRef(ref) },
  );
}
