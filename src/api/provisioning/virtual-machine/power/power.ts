import {
  type RebootVirtualMachineRequest,
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
  VirtualMachineService,
} from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { N0Error } from "../../../../util/errors.ts";
import type { Call } from "../../../core/context.ts";
import { throwIfPending } from "../../../core/saga/pending.ts";
import type { AnsweringTx } from "../../../core/saga/tx.ts";
import { blockStorages } from "../../block-storage/collection.ts";
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
import { ownerOf, settled } from "../record.ts";
import { onSettled, throwIfPaused } from "./on-settled.ts";

const METHODS = VirtualMachineService.method;

/** Starts one that is shut down, resumes one that is paused; one that runs is left as it is. */
export async function bootVirtualMachine(
  api: Api,
  call: Call,
  name: string,
): Promise<VirtualMachine> {
  return await onSettled(api, call, METHODS.bootVirtualMachine, name, async (tx, vm, state) => {
    const place = { nodeName: vm.computeNodeName, name };
    if (state === State.PAUSED) await tx.run(resumeDomain, place);
    else if (state !== State.RUNNING) {
      const disks = vm.blockStorageNames.map((disk) => blockStorages.key(disk));
      await throwIfPending(api, disks, [tx.id]);
      const plan = planOf(vm, await readPlanInput(api, vm));
      await tx.run(rewriteSeed, plan.seed);
      for (const tap of plan.taps) await tx.run(makeTap, tap);
      await tx.run(startDomain, plan.domain);
      for (const tap of plan.taps) await tx.run(attachTap, tap);
      await tx.run(releaseDomain, place);
    }
    return await rest(tx, vm, State.RUNNING);
  });
}

/** Pauses it: its memory stays, its processors stop. Boot resumes it. */
export async function saveVirtualMachine(
  api: Api,
  call: Call,
  name: string,
): Promise<VirtualMachine> {
  return await onSettled(api, call, METHODS.saveVirtualMachine, name, async (tx, vm, state) => {
    throwUnlessActive(vm, state);
    if (state === State.RUNNING) {
      await tx.run(pauseDomain, { nodeName: vm.computeNodeName, name });
    }
    return await rest(tx, vm, State.PAUSED);
  });
}

/**
 * Asks the guest to reboot, or with `hard` presses the reset button, after which one that was paused runs. If
 * that fails in between, it is paused again, and begins anew when it is booted.
 */
export async function rebootVirtualMachine(
  api: Api,
  call: Call,
  { name, hard }: RebootVirtualMachineRequest,
): Promise<VirtualMachine> {
  return await onSettled(api, call, METHODS.rebootVirtualMachine, name, async (tx, vm, state) => {
    throwUnlessActive(vm, state);
    if (!hard) throwIfPaused(vm, state);
    const place = { nodeName: vm.computeNodeName, name };
    await tx.run(rebootDomain, { ...place, hard });
    if (state === State.PAUSED) await tx.run(resumeDomain, place);
    return await rest(tx, vm, State.RUNNING);
  });
}

async function rest(tx: AnsweringTx<Api>, vm: VirtualMachine, state: State) {
  return await tx.answerRecord(virtualMachines, vm.name, settled(vm, state), vm);
}

function throwUnlessActive({ name }: VirtualMachine, state: State): void {
  if (state === State.RUNNING || state === State.PAUSED) return;
  throw new N0Error("failed_precondition", `virtual machine "${name}" is SHUTDOWN: boot it first`, {
    resource: ownerOf(name),
  });
}
