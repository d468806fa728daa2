import type { Writes } from "../../../datastore/datastore.ts";
import {
  type BlockStorage,
  BlockStorage_BlockStorageState as State,
} from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import type { Later } from "../../../transaction/step.ts";
import type { Ref } from "../../../util/ref.ts";
import { blockStorageBeside, blockStorages } from "../block-storage/collection.ts";
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

/**
 * @throws N0Error `not_found`; `failed_precondition` if somebody uses the block storage, or others rest on it.
 */
export async function getClaimable(api: Api, ref: Ref): Promise<BlockStorage> {
  const { value } = await getBlockStorage(api, ref);
  throwUnlessIn(ref, value, [State.AVAILABLE]);
  await throwIfBase(api, ref, value);
  return value;
}

/** Gives the virtual machine exclusive use of a block storage on its node. */
export async function claim(tx: Tx, vm: Ref, disk: BlockStorage): Promise<void> {
  const claimed = changed(disk, (copy) => {
    copy.state = State.IN_USE;
    copy.usedBy = vm.name;
  });
  await blockStorageSteps.replace(tx, blockStorageBeside(vm, disk.name), disk, claimed);
}

/** Like `unclaim`, for a guest that uses it until some time after the commit. */
export async function unclaimLater(tx: Tx, vm: Ref, disk: BlockStorage): Promise<Later> {
  const ref = blockStorageBeside(vm, disk.name);
  await blockStorageSteps.replace(tx, ref, disk, pending(disk, tx.id));
  return blockStorageSteps.settleLater(ref, settled(disk, State.AVAILABLE));
}

/**
 * Releases it. The block storage is PENDING until the commit, which holds the writes. If it became available
 * earlier, another virtual machine could get it before this is undone.
 */
export async function unclaim(tx: Tx, vm: Ref, disk: BlockStorage): Promise<Writes> {
  const ref = blockStorageBeside(vm, disk.name);
  await blockStorageSteps.replace(tx, ref, disk, pending(disk, tx.id));
  return tx.context.held.put(blockStorages, ref, settled(disk, State.AVAILABLE), disk);
}
