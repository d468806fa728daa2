import {
  type RebootVirtualMachineRequest,
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
  VirtualMachineService,
} from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { N0Error } from "../../../../util/errors.ts";
import { formatRef, type Ref } from "../../../../util/ref.ts";
import type { Call } from "../../../core/context.ts";
import { throwIfPending } from "../../../core/saga/pending.ts";
import type { AnsweringTx } from "../../../core/saga/tx.ts";
import { refOf } from "../../../core/scope.ts";
import type { Api } from "../../context.ts";
import { virtualMachines } from "../collection.ts";
import {
  pauseDomain,
  rebootDomain,
  releaseDomain,
  resumeDomain,
  rewriteSeed,
  startDomain,
} from "../domain/domain-steps.ts";
import { planOf } from "../domain/plan.ts";
import { readPlanInput } from "../domain/plan-input.ts";
import { attachTap, makeTap } from "../domain/tap-steps.ts";
import { keysOf, settled } from "../record.ts";
import { onSettled, throwIfPaused } from "./on-settled.ts";

const METHODS = VirtualMachineService.method;

/** Starts one that is shut down, resumes one that is paused, and changes nothing for one that runs. */
export async function bootVirtualMachine(
  api: Api,
  call: Call,
  name: string,
): Promise<VirtualMachine> {
  const ref = refOf(call, virtualMachines, name);
  return await onSettled(api, call, METHODS.bootVirtualMachine, ref, async (tx, vm, state) => {
    const place = { nodeName: vm.computeNodeName, ref };
    if (state === State.PAUSED) await tx.run(resumeDomain, place);
    else if (state !== State.RUNNING) {
      await throwIfPending(api, keysOf(ref, vm), [tx.id]);
      const plan = planOf(ref, vm, await readPlanInput(api, ref, vm));
      await tx.run(rewriteSeed, plan.seed);
      for (const tap of plan.taps) await tx.run(makeTap, tap);
      await tx.run(startDomain, plan.domain);
      for (const tap of plan.taps) await tx.run(attachTap, tap);
      await tx.run(releaseDomain, place);
    }
    return await rest(tx, ref, vm, State.RUNNING);
  });
}

/** Pauses it: stops its processors and keeps its memory. A boot resumes it. */
export async function saveVirtualMachine(
  api: Api,
  call: Call,
  name: string,
): Promise<VirtualMachine> {
  const ref = refOf(call, virtualMachines, name);
  return await onSettled(api, call, METHODS.saveVirtualMachine, ref, async (tx, vm, state) => {
    throwUnlessActive(ref, state);
    if (state === State.RUNNING) {
      await tx.run(pauseDomain, { nodeName: vm.computeNodeName, ref });
    }
    return await rest(tx, ref, vm, State.PAUSED);
  });
}

/**
 * Asks the guest to reboot. With `hard`, presses the reset button; then a paused one runs. If that fails
 * half-way, it is paused again, and starts from the beginning at its next boot.
 */
export async function rebootVirtualMachine(
  api: Api,
  call: Call,
  { name, hard }: RebootVirtualMachineRequest,
): Promise<VirtualMachine> {
  const ref = refOf(call, virtualMachines, name);
  return await onSettled(api, call, METHODS.rebootVirtualMachine, ref, async (tx, vm, state) => {
    throwUnlessActive(ref, state);
    if (!hard) throwIfPaused(ref, state);
    const place = { nodeName: vm.computeNodeName, ref };
    await tx.run(rebootDomain, { ...place, hard });
    if (state === State.PAUSED) await tx.run(resumeDomain, place);
    return await rest(tx, ref, vm, State.RUNNING);
  });
}

async function rest(tx: AnsweringTx<Api>, ref: Ref, vm: VirtualMachine, state: State) {
  return await tx.answerRecord(virtualMachines, ref, settled(vm, state), vm);
}

function throwUnlessActive(ref: Ref, state: State): void {
  if (state === State.RUNNING || state === State.PAUSED) return;
  throw new N0Error(
    "failed_precondition",
    `virtual machine "${ref.name}" is SHUTDOWN: boot it first`,
    {
      resource: formatRef(ref),
    },
  );
}
