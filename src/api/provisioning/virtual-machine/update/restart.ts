import {
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
} from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { type Later, later } from "../../../../transaction/step.ts";
import type { Ref } from "../../../../util/ref.ts";
import type { Answered, AnsweringTx } from "../../../core/saga/tx.ts";
import type { Api } from "../../context.ts";
import { unclaimLater } from "../claims.ts";
import { virtualMachines } from "../collection.ts";
import { powerOffLater, restoreSeed } from "../domain/domain-steps.ts";
import { type Plan, planOf } from "../domain/plan.ts";
import { readPlanInput } from "../domain/plan-input.ts";
import { SHUTDOWN_DEADLINE_MS } from "../power/shutdown.ts";
import { pending, settled, virtualMachineSteps } from "../record.ts";
import { forgetFormerUserData } from "../user-data/user-data.ts";
import { readGuest, replaceGuest } from "./guest.ts";
import { addedDisks, changeReserved } from "./hardware.ts";
import {
  askOffLater,
  attachTapAgain,
  makeTapAgain,
  releaseAgain,
  removeTapIfOff,
  settleComputeLater,
  settleRestarted,
  startAgain,
} from "./restart-steps.ts";
import type { Wanted } from "./wanted.ts";

/**
 * Changes one that runs, or is paused, and restarts it after the pivot. What it gets is reserved before, and what it
 * had stays reserved until it is off.
 */
export async function restart(
  api: Api,
  tx: AnsweringTx<Api>,
  ref: Ref,
  wanted: Wanted,
  state: State,
): Promise<Answered<VirtualMachine>> {
  const { before } = wanted;
  const { computeNodeName: nodeName } = before;
  const added = await addedDisks(api, ref, wanted);
  const guest = await readGuest(api, ref, wanted);
  const { after } = guest;
  await virtualMachineSteps.replace(tx, ref, before, pending(before, tx.id));
  const names = added.map(({ name }) => name);
  const input = await readPlanInput(api, ref, before, names);
  const freed: Later[] = [];
  if (wanted.hardware.length > 0) {
    const { compute, removed } = await changeReserved(api, tx, ref, wanted, added);
    freed.push(later(settleComputeLater, { ref, nodeName, compute }));
    for (const disk of removed) freed.push(await unclaimLater(tx, ref, disk));
  }
  const told = await replaceGuest(tx, ref, wanted, guest, input);
  const place = { nodeName, ref };
  const patienceMs = SHUTDOWN_DEADLINE_MS;
  return await tx.answer(
    settled(after, State.RUNNING),
    ...(state === State.RUNNING ? [later(askOffLater, { ...place, patienceMs })] : []),
    later(powerOffLater, place),
    ...freed,
    ...(wanted.userData === undefined ? [] : [later(forgetFormerUserData, { ref })]),
    ...startLater(ref, after, planOf(ref, after, told)),
  );
}

function startLater(ref: Ref, vm: VirtualMachine, { domain, seed, taps }: Plan): readonly Later[] {
  const { nodeName } = domain;
  const after = virtualMachines.encode(settled(vm, State.RUNNING));
  return [
    later(restoreSeed, seed),
    ...taps.map((tap) => later(makeTapAgain, tap)),
    later(startAgain, domain),
    ...taps.map((tap) => later(attachTapAgain, tap)),
    later(releaseAgain, { nodeName, ref }),
    ...taps.map((tap) => later(removeTapIfOff, tap)),
    later(settleRestarted, { ref, after: Buffer.from(after).toString("base64") }),
  ];
}
