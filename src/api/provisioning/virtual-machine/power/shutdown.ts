import {
  type ShutdownVirtualMachineRequest,
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
  VirtualMachineService,
} from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { type Later, later } from "../../../../transaction/step.ts";
import { N0Error } from "../../../../util/errors.ts";
import { formatRef, type Ref } from "../../../../util/ref.ts";
import type { Call } from "../../../core/context.ts";
import { refOf } from "../../../core/scope.ts";
import type { Api, Tx } from "../../context.ts";
import { virtualMachines } from "../collection.ts";
import type { DomainPlace } from "../domain/domain-messages.ts";
import { stateOf } from "../domain/domain-states.ts";
import { powerOffLater, pressPowerButton, pressPowerButtonAgain } from "../domain/domain-steps.ts";
import { tapsOf } from "../domain/plan.ts";
import { readNics } from "../domain/plan-input.ts";
import { removeTapLater, type Tap } from "../domain/tap-steps.ts";
import { settled, virtualMachineSteps } from "../record.ts";
import { onSettled, throwIfPaused } from "./on-settled.ts";

export const SHUTDOWN_DEADLINE_MS = 60_000;
export const POLL_MS = 100;
/** Guests ignore presses while they shut down. Some show a question at each press, so not too often. */
export const PRESS_AGAIN_MS = 5_000;

/**
 * Presses the power button again and again until the guest is off. With `hard`, cuts the power.
 *
 * @throws N0Error also `deadline_exceeded` if the guest is still up after `deadline_seconds`.
 */
export async function shutdownVirtualMachine(
  api: Api,
  call: Call,
  { name, hard, deadlineSeconds }: ShutdownVirtualMachineRequest,
): Promise<VirtualMachine> {
  const method = VirtualMachineService.method.shutdownVirtualMachine;
  const ref = refOf(call, virtualMachines, name);
  return await onSettled(api, call, method, ref, async (tx, vm, state) => {
    const place = { nodeName: vm.computeNodeName, ref };
    if (!hard) throwIfPaused(ref, state);
    if (state === State.RUNNING && !hard) {
      const deadlineMs = deadlineSeconds === 0 ? SHUTDOWN_DEADLINE_MS : deadlineSeconds * 1000;
      await pressUntilOff(api, tx, place, deadlineMs);
    }
    const taps = tapsOf(ref, vm, await readNics(api, ref, vm));
    const after = settled(vm, State.SHUTDOWN);
    return await tx.answer(after, later(powerOffLater, place), ...restOff(ref, vm, taps));
  });
}

/** After the pivot, with the domain off: removes its taps, and writes SHUTDOWN into its record. */
export function restOff(ref: Ref, vm: VirtualMachine, taps: readonly Tap[]): readonly Later[] {
  return [
    ...taps.map((tap) => later(removeTapLater, tap)),
    virtualMachineSteps.settleLater(ref, settled(vm, State.SHUTDOWN)),
  ];
}

/** A guest that still boots does not notice the first press, now or later. */
async function pressUntilOff(
  api: Api,
  tx: Tx,
  place: DomainPlace,
  deadlineMs: number,
): Promise<void> {
  const { ref, nodeName } = place;
  const { clock } = api;
  const endMs = clock.monotonicMs() + deadlineMs;
  await tx.run(pressPowerButton, place);
  for (let pressedMs = clock.monotonicMs(); ; ) {
    const state = stateOf(await api.observed.read(nodeName, ref, tx.signal));
    if (state !== State.RUNNING && state !== State.PAUSED) return;
    const nowMs = clock.monotonicMs();
    if (nowMs >= endMs) {
      throw new N0Error(
        "deadline_exceeded",
        `virtual machine "${ref.name}" did not shut down within ${deadlineMs / 1000} s: try again, or use hard`,
        { resource: formatRef(ref) },
      );
    }
    if (nowMs - pressedMs >= PRESS_AGAIN_MS) {
      await pressPowerButtonAgain(tx, place);
      pressedMs = nowMs;
    }
    await clock.sleep(POLL_MS, tx.signal).catch((cause) => {
      const message = `virtual machine "${ref.name}" was not waited for: try again, or use hard`;
      throw new N0Error("aborted", message, { resource: formatRef(ref), cause });
    });
  }
}
