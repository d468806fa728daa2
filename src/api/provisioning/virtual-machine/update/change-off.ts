import type { Writes } from "../../../../datastore/datastore.ts";
import {
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
} from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { later } from "../../../../transaction/step.ts";
import type { Ref } from "../../../../util/ref.ts";
import type { Answered, AnsweringTx } from "../../../core/saga/tx.ts";
import type { Api, Tx } from "../../context.ts";
import { unclaim } from "../claims.ts";
import { virtualMachines } from "../collection.ts";
import { changeSeed, redefineDomain } from "../domain/domain-steps.ts";
import { type Plan, planOf } from "../domain/plan.ts";
import { readPlanInput } from "../domain/plan-input.ts";
import { removeTapLater } from "../domain/tap-steps.ts";
import { pending, settled, virtualMachineSteps } from "../record.ts";
import { forgetFormerUserData } from "../user-data/user-data.ts";
import { readGuest, replaceGuest } from "./guest.ts";
import { addedDisks, changeReserved } from "./hardware.ts";
import type { Wanted } from "./wanted.ts";

/** Gives one that is shut down other hardware, and changes what its guest is told. */
export async function changeOff(
  api: Api,
  tx: AnsweringTx<Api>,
  ref: Ref,
  wanted: Wanted,
): Promise<Answered<VirtualMachine>> {
  const { before, hardware } = wanted;
  const added = await addedDisks(api, ref, wanted);
  const guest = await readGuest(api, ref, wanted);
  const { after } = guest;
  await virtualMachineSteps.replace(tx, ref, before, pending(before, tx.id));
  const input = await readPlanInput(
    api,
    ref,
    before,
    added.map(({ name }) => name),
  );
  const parts: Writes[] = [];
  if (hardware.length > 0) {
    const { compute, removed } = await changeReserved(api, tx, ref, wanted, added);
    parts.push(api.inventory.computes.settle(before.computeNodeName, compute.name, compute));
    for (const disk of removed) parts.push(await unclaim(tx, ref, disk));
  }
  const told = await replaceGuest(tx, ref, wanted, guest, input);
  const was = planOf(ref, before, input);
  const is = planOf(ref, after, told);
  await changeOnNode(tx, wanted, was, is);
  // A guest that powered off by itself has left its taps on the node.
  const taps = before.state === State.SHUTDOWN ? [] : was.taps;
  const forget = wanted.userData === undefined ? [] : [later(forgetFormerUserData, { ref })];
  const final = settled(after, State.SHUTDOWN);
  const laters = [...taps.map((tap) => later(removeTapLater, tap)), ...forget];
  return await tx.answerRecord(virtualMachines, ref, final, before, ...parts, ...laters);
}

async function changeOnNode(
  tx: Tx,
  { hardware, guest }: Wanted,
  before: Plan,
  after: Plan,
): Promise<void> {
  if (hardware.length > 0) {
    await tx.run(redefineDomain, { before: before.domain, after: after.domain });
  }
  if (guest.length > 0) await tx.run(changeSeed, { before: before.seed, after: after.seed });
}
