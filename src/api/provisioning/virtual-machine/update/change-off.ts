import type { Writes } from "../../../../datastore/datastore.ts";
import type { BlockStorage } from "../../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import {
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
} from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { later } from "../../../../transaction/step.ts";
import { N0Error } from "../../../../util/errors.ts";
import { formatRef, type Ref } from "../../../../util/ref.ts";
import type { Answered, AnsweringTx } from "../../../core/saga/tx.ts";
import { computes } from "../../../pool/inventory/collection.ts";
import { changeCompute } from "../../../pool/inventory/steps.ts";
import { blockStorageBeside } from "../../block-storage/collection.ts";
import { getBlockStorage } from "../../block-storage/record.ts";
import type { Api, Tx } from "../../context.ts";
import { claim, getClaimable, unclaim } from "../claims.ts";
import { virtualMachines } from "../collection.ts";
import { changeSeed, redefineDomain } from "../domain/domain-steps.ts";
import { type Plan, planOf } from "../domain/plan.ts";
import { readPlanInput } from "../domain/plan-input.ts";
import { removeTapLater } from "../domain/tap-steps.ts";
import { pending, settled, virtualMachineSteps } from "../record.ts";
import { computeReservationOf } from "../reservations.ts";
import { forgetFormerUserData } from "../user-data/user-data.ts";
import { readGuest, replaceGuest } from "./guest.ts";
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
  const parts = hardware.length === 0 ? [] : await changeReserved(api, tx, ref, wanted, added);
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

/** The block storages that it does not have yet. @throws N0Error like `getClaimable`. */
async function addedDisks(
  api: Api,
  ref: Ref,
  { before, after }: Wanted,
): Promise<readonly BlockStorage[]> {
  const { computeNodeName: nodeName } = before;
  const added = after.blockStorageNames.filter((disk) => !before.blockStorageNames.includes(disk));
  const disks = await Promise.all(
    added.map((disk) => getClaimable(api, blockStorageBeside(ref, disk))),
  );
  const elsewhere = disks.find((disk) => disk.nodeName !== nodeName);
  if (elsewhere === undefined) return disks;
  throw new N0Error(
    "failed_precondition",
    `virtual machine "${ref.name}" is on node "${nodeName}", block storage "${elsewhere.name}" on "${elsewhere.nodeName}": move it first`,
    { field: "block_storage_names", resource: formatRef(ref) },
  );
}

/** @returns what the commit writes of them. */
async function changeReserved(
  api: Api,
  tx: Tx,
  ref: Ref,
  { before, after }: Wanted,
  added: readonly BlockStorage[],
): Promise<readonly Writes[]> {
  const { computeNodeName: nodeName } = before;
  const reserved = await api.records.find(computes, nodeName, before.computeName);
  const transactionId = reserved?.value.transactionId ?? tx.id;
  const compute = { ...computeReservationOf(ref, after), transactionId };
  await tx.run(changeCompute, {
    nodeName,
    before: { ...computeReservationOf(ref, before), transactionId },
    after: compute,
  });
  for (const disk of added) await claim(tx, ref, disk);
  const unclaimed: Writes[] = [];
  for (const disk of before.blockStorageNames) {
    if (after.blockStorageNames.includes(disk)) continue;
    const { value } = await getBlockStorage(api, blockStorageBeside(ref, disk));
    unclaimed.push(await unclaim(tx, ref, value));
  }
  return [api.inventory.computes.settle(nodeName, compute.name, compute), ...unclaimed];
}
