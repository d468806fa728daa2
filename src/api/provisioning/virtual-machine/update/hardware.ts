import type { BlockStorage } from "../../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { N0Error } from "../../../../util/errors.ts";
import { formatRef, type Ref } from "../../../../util/ref.ts";
import { computes } from "../../../pool/inventory/collection.ts";
import { changeCompute } from "../../../pool/inventory/steps.ts";
import { blockStorageBeside } from "../../block-storage/collection.ts";
import { getBlockStorage } from "../../block-storage/record.ts";
import type { Api, Tx } from "../../context.ts";
import { claim, getClaimable } from "../claims.ts";
import { computeReservationOf } from "../reservations.ts";
import type { Settling } from "./restart-steps.ts";
import type { Wanted } from "./wanted.ts";

/** The block storages that it does not have yet. @throws N0Error like `getClaimable`. */
export async function addedDisks(
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

/** What it reserves in place of what it had. */
export interface Reserved {
  readonly compute: Settling["compute"];
  /** The block storages that it has no more. They are claimed still. */
  readonly removed: readonly BlockStorage[];
}

/** Until `compute` is settled, the larger one of both counts. */
export async function changeReserved(
  api: Api,
  tx: Tx,
  ref: Ref,
  { before, after }: Wanted,
  added: readonly BlockStorage[],
): Promise<Reserved> {
  const { computeNodeName: nodeName } = before;
  const present = await api.records.find(computes, nodeName, before.computeName);
  const transactionId = present?.value.transactionId ?? tx.id;
  const compute = { ...computeReservationOf(ref, after), transactionId };
  await tx.run(changeCompute, {
    nodeName,
    before: { ...computeReservationOf(ref, before), transactionId },
    after: compute,
  });
  for (const disk of added) await claim(tx, ref, disk);
  const removed: BlockStorage[] = [];
  for (const disk of before.blockStorageNames) {
    if (after.blockStorageNames.includes(disk)) continue;
    removed.push((await getBlockStorage(api, blockStorageBeside(ref, disk))).value);
  }
  return { compute, removed };
}
