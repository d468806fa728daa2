import { DomainState } from "../../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import {
  type RebootVirtualMachineRequest,
  type ShutdownVirtualMachineRequest,
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
  type VirtualMachineSchema,
  VirtualMachineService,
} from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { later } from "../../../transaction/step.ts";
import { N0Error } from "../../../util/errors.ts";
import type { Call } from "../../core/context.ts";
import { throwIfPending } from "../../core/saga/pending.ts";
import { type Method, runSaga } from "../../core/saga/saga.ts";
import type { Answered, AnsweringTx } from "../../core/saga/tx.ts";
import { blockStorages } from "../block-storage/collection.ts";
import type { Api, Tx } from "../context.ts";
import { virtualMachines } from "./collection.ts";
import type { DomainPlace } from "./domain-messages.ts";
import { stateOf } from "./domain-states.ts";
import {
  pauseDomain,
  powerOffLater,
  pressPowerButton,
  pressPowerButtonAgain,
  rebootDomain,
  releaseDomain,
  resumeDomain,
  rewriteSeed,
  startDomain,
} from "./domain-steps.ts";
import { planOf, tapsOf } from "./plan.ts";
import { readNics, readPlanInput } from "./plan-input.ts";
import { attachTap, makeTap, removeTapLater } from "./tap-steps.ts";
import {
  getVirtualMachine,
  ownerOf,
  pending,
  settled,
  virtualMachineSteps,
} from "./virtual-machine-record.ts";

const METHODS = VirtualMachineService.method;

const SHUTDOWN_DEADLINE_MS = 60_000;
const POLL_MS = 100;
/** Guests ignore a press while they shut down; some show a question at each, so not too often. */
const PRESS_AGAIN_MS = 5_000;

/** Runs `saga` with the virtual machine PENDING and its state as its node says it is. */
async function onSettled(
  api: Api,
  call: Call,
  method: Method<typeof VirtualMachineSchema>,
  name: string,
  saga: (
    tx: AnsweringTx<Api>,
    vm: VirtualMachine,
    state: State,
  ) => Promise<Answered<VirtualMachine>>,
): Promise<VirtualMachine> {
  const options = { method, keys: [virtualMachines.key(name)], waits: true };
  return await runSaga(api, call, options, async (tx) => {
    const vm = (await getVirtualMachine(api, name)).value;
    using sighting = api.observed.sight(vm.computeNodeName, name);
    const state = stateOf(await api.observed.read(vm.computeNodeName, name, tx.signal));
    const { put, replacement } = virtualMachineSteps;
    await tx.run(put, replacement(name, vm, pending(vm, tx.id)));
    const after = await saga(tx, vm, state);
    if (after.state !== state) sighting.note(domainStateOf(after));
    return after;
  });
}

async function rest(tx: AnsweringTx<Api>, vm: VirtualMachine, state: State) {
  return await tx.answerRecord(virtualMachines, vm.name, settled(vm, state));
}

function domainStateOf({ state }: VirtualMachine): DomainState {
  if (state === State.RUNNING) return DomainState.RUNNING;
  return state === State.PAUSED ? DomainState.PAUSED : DomainState.SHUT_OFF;
}

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

/**
 * Presses the power button, again and again, until the guest is off, or with `hard` takes the power away.
 *
 * @throws N0Error also `deadline_exceeded` when the guest is still up after `deadline_seconds`.
 */
export async function shutdownVirtualMachine(
  api: Api,
  call: Call,
  { name, hard, deadlineSeconds }: ShutdownVirtualMachineRequest,
): Promise<VirtualMachine> {
  return await onSettled(api, call, METHODS.shutdownVirtualMachine, name, async (tx, vm, state) => {
    const place = { nodeName: vm.computeNodeName, name };
    if (!hard) throwIfPaused(vm, state);
    if (state === State.RUNNING && !hard) {
      const deadlineMs = deadlineSeconds === 0 ? SHUTDOWN_DEADLINE_MS : deadlineSeconds * 1000;
      await pressUntilOff(api, tx, place, deadlineMs);
    }
    const taps = tapsOf(vm, await readNics(api, vm));
    const after = settled(vm, State.SHUTDOWN);
    const { settle, settlement } = virtualMachineSteps;
    return await tx.answer(
      after,
      later(powerOffLater, place),
      ...taps.map((tap) => later(removeTapLater, tap)),
      later(settle, settlement(name, after)),
    );
  });
}

/** A guest that still boots does not hear the first press, nor learns later that there was one. */
async function pressUntilOff(
  api: Api,
  tx: Tx,
  place: DomainPlace,
  deadlineMs: number,
): Promise<void> {
  const { name, nodeName } = place;
  const { clock } = api;
  const endMs = clock.monotonicMs() + deadlineMs;
  await tx.run(pressPowerButton, place);
  for (let pressedMs = clock.monotonicMs(); ; ) {
    const state = stateOf(await api.observed.read(nodeName, name, tx.signal));
    if (state !== State.RUNNING && state !== State.PAUSED) return;
    const nowMs = clock.monotonicMs();
    if (nowMs >= endMs) {
      throw new N0Error(
        "deadline_exceeded",
        `virtual machine "${name}" did not shut down within ${deadlineMs / 1000} s: try again, or use hard`,
        { resource: ownerOf(name) },
      );
    }
    if (nowMs - pressedMs >= PRESS_AGAIN_MS) {
      await pressPowerButtonAgain(tx, place);
      pressedMs = nowMs;
    }
    await clock.sleep(POLL_MS, tx.signal).catch((cause) => {
      const message = `virtual machine "${name}" was not waited for: try again, or use hard`;
      throw new N0Error("aborted", message, { resource: ownerOf(name), cause });
    });
  }
}

function throwIfPaused({ name }: VirtualMachine, state: State): void {
  if (state !== State.PAUSED) return;
  throw new N0Error(
    "failed_precondition",
    `virtual machine "${name}" is PAUSED and cannot hear the power button: boot it first, or use hard`,
    { resource: ownerOf(name) },
  );
}

function throwUnlessActive({ name }: VirtualMachine, state: State): void {
  if (state === State.RUNNING || state === State.PAUSED) return;
  throw new N0Error("failed_precondition", `virtual machine "${name}" is SHUTDOWN: boot it first`, {
    resource: ownerOf(name),
  });
}
