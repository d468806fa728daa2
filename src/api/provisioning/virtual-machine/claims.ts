import type { Writes } from "../../../datastore/datastore.ts";
import {
  type BlockStorage,
  BlockStorage_BlockStorageState as State,
} from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { blockStorages } from "../block-storage/collection.ts";
import {
  blockStorageSteps,
  changed,
  getBlockStorage,
  pending,
  settled,
  throwIfBase,
  throwUnlessIn,
} from "../block-storage/record.ts";
import type { Api, Tx } from "../context.ts";

/** @throws N0Error `not_found`; `failed_precondition` for a disk that somebody uses or that others rest on. */
export async function getClaimable(api: Api, name: string): Promise<BlockStorage> {
  const { value } = await getBlockStorage(api, name);
  throwUnlessIn(value, [State.AVAILABLE]);
  await throwIfBase(api, value);
  return value;
}

/** Gives the virtual machine exclusive use of the disk. */
export async function claim(tx: Tx, disk: BlockStorage, virtualMachineName: string): Promise<void> {
  const claimed = changed(disk, (copy) => {
    copy.state = State.IN_USE;
    copy.usedBy = virtualMachineName;
  });
  await blockStorageSteps.replace(tx, disk, claimed);
}

/**
 * Takes it back. Until the commit, which has the writes in it, the disk is PENDING: were it available before
 * that, somebody else could have it when this is undone.
 */
export async function unclaim(tx: Tx, disk: BlockStorage): Promise<Writes> {
  await blockStorageSteps.replace(tx, disk, pending(disk, tx.id));
  return tx.context.held.put(blockStorages, disk.name, settled(disk, State.AVAILABLE), disk);
}
