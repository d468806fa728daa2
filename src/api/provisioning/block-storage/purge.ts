import {
  type BlockStorage,
  BlockStorageService,
  BlockStorage_BlockStorageState as State,
} from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { later, type Retriable } from "../../../transaction/step.ts";
import type { Ref } from "../../../util/ref.ts";
import type { Call } from "../../core/context.ts";
import { namesToRefs } from "../../core/saga/older-input.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { willDelete } from "../../core/saga/tasks/going.ts";
import { DONE } from "../../core/saga/tx.ts";
import { refOf } from "../../core/scope.ts";
import type { Api, SagaContext } from "../context.ts";
import { blockStorages } from "./collection.ts";
import {
  blockStorageSteps,
  dependants,
  getBlockStorage,
  pending,
  throwIfBase,
  throwUnlessIn,
} from "./record.ts";
import { removalOf } from "./removal.ts";

/** The last step of a purge. It only writes records, and frees the name. */
export const forgetBlockStorage: Retriable<SagaContext, { readonly ref: Ref }> = {
  name: "block_storage.forget",
  today: namesToRefs({ ref: [blockStorages.kind, "name"] }),
  settles: ({ ref }) => ({ ref, after: null }),
  async act({ api, held }, { ref }, { transactionId }) {
    const stored = await api.records.find(blockStorages, ref);
    if (stored?.value.transactionId !== transactionId) return;
    await api.datastore.batch(held.remove(blockStorages, ref, stored.value));
  },
};

/**
 * Removes a soft-deleted block storage for good.
 *
 * @throws N0Error `not_found`; `failed_precondition` if it is not deleted, or others rest on it; `unavailable`
 * if its node does not answer; `aborted`.
 */
export async function purgeBlockStorage(api: Api, call: Call, name: string): Promise<void> {
  const ref = refOf(call, blockStorages, name);
  const options = {
    method: BlockStorageService.method.purgeBlockStorage,
    keys: [blockStorages.key(ref)],
  };
  await runSaga(api, call, options, async (tx) => {
    const { value } = await getBlockStorage(api, ref);
    throwUnlessIn(ref, value, [State.DELETED]);
    // First mark it PENDING, then look for overlays: a transaction that makes one in the meantime finds a
    // changed record.
    await blockStorageSteps.replace(tx, ref, value, pending(value, tx.id));
    await throwIfBase(api, ref, value);
    const removedBefore = await volumesGoing(api, ref, value);
    willDelete(ref);
    return await tx.answer(
      DONE,
      ...(await removalOf(tx, ref, value, removedBefore)),
      later(forgetBlockStorage, { ref }),
    );
  });
}

/** The volumes of the block storages that rest on this one, and that earlier tasks of the transaction purge. */
async function volumesGoing(api: Api, ref: Ref, disk: BlockStorage): Promise<ReadonlySet<string>> {
  const going = await Promise.all(
    (await dependants(api, ref, disk)).map((other) => getBlockStorage(api, other)),
  );
  return new Set(going.map(({ value }) => value.volumeId));
}
