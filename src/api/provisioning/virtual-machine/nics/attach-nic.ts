import {
  type AttachNicRequest,
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
  VirtualMachineService,
} from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { later } from "../../../../transaction/step.ts";
import { defined } from "../../../../util/defined.ts";
import { invalid, N0Error } from "../../../../util/errors.ts";
import { formatRef, type Ref } from "../../../../util/ref.ts";
import type { Call } from "../../../core/context.ts";
import { throwIfPending } from "../../../core/saga/pending.ts";
import { refOf } from "../../../core/scope.ts";
import { nodesTold } from "../../../network/convergence/told.ts";
import type { Api } from "../../context.ts";
import { virtualMachines } from "../collection.ts";
import { redefineDomain, restoreSeed } from "../domain/domain-steps.ts";
import { planOf } from "../domain/plan.ts";
import { type PlanInput, readPlanInput } from "../domain/plan-input.ts";
import { attachTap, makeTap } from "../domain/tap-steps.ts";
import { onSettled } from "../power/on-settled.ts";
import { changed, keysOf, settled, virtualMachineSteps } from "../record.ts";
import { checkNics } from "../validate.ts";
import { holdGroups, readGroups, withOwnNames } from "./groups.ts";
import { removeLeftTaps } from "./left-taps.ts";
import { plugNic } from "./nic-steps.ts";
import { reserveNics } from "./nics.ts";
import { freeNumber, freeSlot, NICS_MAX } from "./numbers.ts";

/** How long its guest may take to release the nic, if the attach is undone. */
const UNDO_DEADLINE_SECONDS = 20;

/**
 * Gives a virtual machine that runs, or is shut down, another nic at the end of its list.
 *
 * @throws N0Error `invalid_argument`, `not_found`, `already_exists` for an address in use; `failed_precondition`
 * if it is paused; `resource_exhausted`; `unavailable`.
 */
export async function attachNic(
  api: Api,
  call: Call,
  { name, nic: asked }: AttachNicRequest,
): Promise<VirtualMachine> {
  const ref = refOf(call, virtualMachines, name);
  const { attachNic: method } = VirtualMachineService.method;
  const nic = withOwnNames("nic.", ref, asked!);
  checkNics([nic], () => "nic.");
  return await onSettled(api, call, method, ref, async (tx, vm, state) => {
    throwUnlessStable(ref, state);
    if (vm.nics.length >= NICS_MAX)
      throw invalid(
        "nic",
        `virtual machine "${name}" has ${NICS_MAX} nics, and can have no more: detach one first`,
      );
    checkNics([...vm.nics, nic], (i) => (i < vm.nics.length ? `nics[${i}].` : "nic."));
    await throwIfPending(api, keysOf(ref, vm), [tx.id]);
    const named = await readGroups(api, ref, [nic]);
    const input = await readPlanInput(api, ref, vm);
    const isRunning = state === State.RUNNING;
    const place = {
      number: freeNumber(ref, vm),
      fieldPrefix: "nic.",
      ...defined({ pciSlot: isRunning ? slotFor(ref, vm, input) : undefined }),
    };
    using nics = await reserveNics.choose(api, ref, [nic], {
      nodeName: vm.computeNodeName,
      hardwareAddresses: vm.nics.map(({ hardwareAddress }) => hardwareAddress.toLowerCase()),
      at: () => place,
    });
    await reserveNics.reserve(tx, nics);

    const after = changed(vm, (copy) => {
      copy.nics.push(...nics.chosen.nics);
      copy.networkInterfaceNames.push(...nics.chosen.networkInterfaceNames);
    });
    await holdGroups(tx, ref, vm, after, named);
    const plan = planOf(ref, after, { ...input, nics: [...input.nics, ...nics.planned] });
    if (isRunning) {
      const tap = plan.taps.at(-1)!;
      const { nodeName } = tap;
      await tx.run(makeTap, tap);
      const domainNic = plan.domain.nics.at(-1)!;
      const deadlineSeconds = UNDO_DEADLINE_SECONDS;
      await tx.run(plugNic, { ref, nodeName, nic: domainNic, deadlineSeconds });
      await tx.run(attachTap, tap);
    } else {
      const before = planOf(ref, vm, input).domain;
      await tx.run(redefineDomain, { before, after: plan.domain });
    }
    const final = settled(after, state);
    const settle = virtualMachineSteps.settleLater(ref, final);
    const left = await removeLeftTaps(api, ref, vm, state);
    const answer = await tx.answer(final, ...left, later(restoreSeed, plan.seed), settle);
    await nodesTold(api, nics.planned, tx.signal);
    return answer;
  });
}

function slotFor(ref: Ref, vm: VirtualMachine, { nics }: PlanInput): number {
  const taken = nics.map(({ pciSlot }) => pciSlot);
  const slot = freeSlot(taken, vm.blockStorageNames.length);
  if (slot !== undefined) return slot;
  throw new N0Error(
    "failed_precondition",
    `virtual machine "${ref.name}" has no free PCI slot for another nic: shut it down first`,
    { resource: formatRef(ref) },
  );
}

/** A paused guest cannot take part in a change of its hardware, and so not in the undo of one either. */
export function throwUnlessStable(ref: Ref, state: State): void {
  if (state === State.RUNNING || state === State.SHUTDOWN) return;
  throw new N0Error(
    "failed_precondition",
    state === State.PAUSED
      ? `virtual machine "${ref.name}" is PAUSED: boot it before its nics are changed`
      : `virtual machine "${ref.name}" is not on its node: run verify first`,
    { resource: formatRef(ref) },
  );
}
