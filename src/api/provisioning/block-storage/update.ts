import { equals } from "@bufbuild/protobuf";
import type { Writes } from "../../../datastore/datastore.ts";
import {
  type BlockStorage,
  BlockStorageSchema,
  BlockStorageService,
  BlockStorage_BlockStorageState as State,
  type UpdateBlockStorageRequest,
} from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { invalid } from "../../../util/errors.ts";
import type { Ref } from "../../../util/ref.ts";
import {
  BLOCK_STORAGE_URL,
  COPY_FROM,
  FETCH_FROM,
  REQUEST_NODE_OF_BLOCK_STORAGE,
  volumeUrl,
} from "../../core/annotations.ts";
import type { Call } from "../../core/context.ts";
import { maskOf } from "../../core/field-mask.ts";
import { runSaga } from "../../core/saga/saga.ts";
import type { Answered, AnsweringTx } from "../../core/saga/tx.ts";
import { refOf } from "../../core/scope.ts";
import { storageSizes } from "../../pool/inventory/amounts.ts";
import { storages } from "../../pool/inventory/collection.ts";
import { changeStorage, reserveStorage } from "../../pool/inventory/steps.ts";
import { schedule } from "../../pool/schedule/schedule.ts";
import type { Api, Tx } from "../context.ts";
import { virtualMachineBeside } from "../virtual-machine/collection.ts";
import { blockStorages } from "./collection.ts";
import { newVolumeId, reservationOf } from "./make.ts";
import {
  blockStorageSteps,
  changed,
  getBlockStorage,
  pending,
  throwIfBase,
  throwUnlessIn,
  withUser,
} from "./record.ts";
import { removeFile } from "./removal.ts";
import { checkSizes, limitOf } from "./sizes.ts";
import { growDomainDisk, growVolume } from "./volume/grow-steps.ts";
import { ensureReplicated } from "./volume/volume-steps.ts";

/** Annotations with facts. A user's update does not change them. */
const OWN_ANNOTATIONS = [BLOCK_STORAGE_URL, FETCH_FROM, COPY_FROM];
const FIELDS = ["annotations", "labels", "request_bytes", "limit_bytes"] as const;

/**
 * Changes labels and annotations, grows a block storage (also one in use), or moves an unused one to the node
 * in the annotation.
 *
 * @throws N0Error `not_found`, `invalid_argument` for a smaller size, `failed_precondition`,
 *   `resource_exhausted`, `unavailable`, `aborted`.
 */
export async function updateBlockStorage(
  api: Api,
  call: Call,
  request: UpdateBlockStorageRequest,
): Promise<BlockStorage> {
  const ref = refOf(call, blockStorages, request.name);
  const keys = async () => withUser(ref, (await getBlockStorage(api, ref)).value);
  const options = { method: BlockStorageService.method.updateBlockStorage, keys };
  return await runSaga(api, call, options, async (tx) => {
    const before = (await getBlockStorage(api, ref)).value;
    const after = wanted(api, before, request);
    const isSame = equals(BlockStorageSchema, before, after);
    // A PROTECTED one does not change, but a file may be done again that gave it its labels.
    const also = isSame ? [State.PROTECTED] : [];
    throwUnlessIn(ref, before, [State.AVAILABLE, State.IN_USE, ...also]);
    if (isSame) return await tx.answer(before);
    const target = after.annotations[REQUEST_NODE_OF_BLOCK_STORAGE] ?? before.nodeName;
    if (after.limitBytes !== before.limitBytes || target !== before.nodeName) {
      await throwIfBase(api, ref, before);
    }
    if (target !== before.nodeName) return await move(api, tx, ref, before, after, target);
    if (isSameSize(before, after)) return await tx.answerRecord(blockStorages, ref, after, before);
    return await grow(tx, ref, before, after);
  });
}

function wanted(api: Api, before: BlockStorage, request: UpdateBlockStorageRequest): BlockStorage {
  const mask = maskOf(request, request.updateMask, FIELDS);
  const after = changed(before, (copy) => {
    if (mask.has("labels")) copy.labels = { ...request.labels };
    if (mask.has("annotations")) copy.annotations = annotationsOf(before, request);
    if (mask.has("request_bytes")) copy.requestBytes = request.requestBytes;
    if (mask.has("limit_bytes")) copy.limitBytes = request.limitBytes;
    copy.limitBytes = limitOf(copy);
  });
  if (after.limitBytes < before.limitBytes) {
    throw invalid("limit_bytes", `a block storage cannot shrink: it has ${before.limitBytes}`);
  }
  // A block storage from before a larger minimum can still get labels.
  if (!isSameSize(before, after)) checkSizes(after, api.storageRequestRatioMin);
  return after;
}

/**
 * As in the original: an update without a node leaves the block storage on its node, and keeps the annotation.
 */
function annotationsOf(before: BlockStorage, request: UpdateBlockStorageRequest) {
  const node = before.annotations[REQUEST_NODE_OF_BLOCK_STORAGE];
  const own = Object.entries(before.annotations).filter(([key]) => OWN_ANNOTATIONS.includes(key));
  return {
    ...(node === undefined ? {} : { [REQUEST_NODE_OF_BLOCK_STORAGE]: before.nodeName }),
    ...request.annotations,
    ...Object.fromEntries(own),
  };
}

function isSameSize(a: BlockStorage, b: BlockStorage): boolean {
  return a.requestBytes === b.requestBytes && a.limitBytes === b.limitBytes;
}

async function grow(
  tx: AnsweringTx<Api>,
  ref: Ref,
  before: BlockStorage,
  after: BlockStorage,
): Promise<Answered<BlockStorage>> {
  const reserved = await reserveSize(tx, ref, before, after);
  await growFile(tx, ref, after, before.limitBytes);
  const { held } = tx.context;
  return await tx.answer(after, held.put(blockStorages, ref, after, before), reserved);
}

/** Marks it PENDING, and reserves what it takes more. @returns the writes for the commit. */
export async function reserveSize(
  tx: Tx,
  ref: Ref,
  before: BlockStorage,
  after: BlockStorage,
): Promise<Writes> {
  const { api } = tx.context;
  const { nodeName, volumeId } = before;
  await blockStorageSteps.replace(tx, ref, before, pending(before, tx.id));
  const was = await api.records.find(storages, nodeName, volumeId);
  const transactionId = was?.value.transactionId ?? tx.id;
  const storage = { ...reservationOf(ref, after), transactionId };
  await tx.run(changeStorage, {
    nodeName,
    id: volumeId,
    before: { ...reservationOf(ref, before), transactionId },
    after: storage,
  });
  return api.inventory.storages.settle(nodeName, volumeId, storage);
}

/** Runs the step that makes the file as large as the record says, if it is smaller. */
export async function growFile(
  tx: Tx,
  ref: Ref,
  { nodeName, volumeId, usedBy, limitBytes }: BlockStorage,
  beforeBytes: bigint,
): Promise<void> {
  if (limitBytes === beforeBytes) return;
  const place = {
    nodeName,
    volumeId,
    ref,
    sizeBytes: limitBytes.toString(),
    beforeBytes: beforeBytes.toString(),
  };
  if (usedBy === "") await tx.run(growVolume, place);
  else
    await tx.run(growDomainDisk, { ...place, virtualMachine: virtualMachineBeside(ref, usedBy) });
}

/** Offline: makes a new volume on the other node, and removes the old one after the pivot. */
async function move(
  api: Api,
  tx: AnsweringTx<Api>,
  ref: Ref,
  before: BlockStorage,
  after: BlockStorage,
  target: string,
): Promise<Answered<BlockStorage>> {
  throwUnlessIn(ref, before, [State.AVAILABLE]);
  const { nodeName, volumeId, baseVolumeId } = before;
  schedule(api.inventory.views(), {
    what: `block storage "${ref.name}"`,
    ...storageSizes(after),
    nodeName: target,
  });
  const movedId = newVolumeId(api, ref);
  await blockStorageSteps.replace(tx, ref, before, pending(before, tx.id));
  await tx.run(reserveStorage, {
    nodeName: target,
    id: movedId,
    storage: reservationOf(ref, after),
  });
  await tx.run(ensureReplicated, {
    nodeName: target,
    volumeId: movedId,
    ref,
    sizeBytes: after.limitBytes.toString(),
    sourceId: volumeId,
    sourceNodeName: nodeName,
  });
  const moved = changed(after, (copy) => {
    copy.nodeName = target;
    copy.volumeId = movedId;
    copy.annotations[BLOCK_STORAGE_URL] = volumeUrl(movedId);
    copy.baseBlockStorageName = "";
    copy.baseVolumeId = "";
    copy.imageName = "";
  });
  const old = { nodeName, volumeId, baseVolumeId, replicaOf: null };
  return await tx.answerRecord(
    blockStorages,
    ref,
    moved,
    before,
    ...(await removeFile(tx, ref, old)),
  );
}
