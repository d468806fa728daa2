import { create } from "@bufbuild/protobuf";
import { refOfKey } from "../../../datastore/key.ts";
import type { Stored } from "../../../datastore/records.ts";
import {
  type BlockStorage,
  BlockStorageSchema,
  BlockStorage_BlockStorageState as State,
} from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { defined } from "../../../util/defined.ts";
import { formatRef, nameBeside, nameOnNode, type Ref } from "../../../util/ref.ts";
import {
  BLOCK_STORAGE_RESERVED_BY,
  BLOCK_STORAGE_URL,
  REQUEST_NODE_OF_BLOCK_STORAGE,
  volumeUrl,
} from "../../core/annotations.ts";
import type { Call } from "../../core/context.ts";
import { currentTask, plannedNode } from "../../core/saga/ambient.ts";
import { type Method, runSaga } from "../../core/saga/saga.ts";
import type { Keys } from "../../core/saga/take-keys.ts";
import { existing, throwUnlessStanding } from "../../core/saga/tasks/standing.ts";
import { refOf } from "../../core/scope.ts";
import { countedOn, storageSizes } from "../../pool/inventory/amounts.ts";
import { reserveStorage } from "../../pool/inventory/steps.ts";
import { requestedNode, schedule } from "../../pool/schedule/schedule.ts";
import type { Api, Tx } from "../context.ts";
import { blockStorages } from "./collection.ts";
import {
  type Base,
  basedOn,
  blockStorageSteps,
  pending,
  settled,
  throwIfBase,
  withUser,
} from "./record.ts";
import { removalOf } from "./removal.ts";
import {
  handOver,
  hearOfPurge,
  type Replaced,
  throwIfElsewhere,
  throwUnlessReplaceable,
} from "./replace.ts";
import { checkSizes, limitOf, type MakeRequest } from "./sizes.ts";
import { differentOf } from "./standing.ts";
import type { VolumePlace } from "./volume/volume-steps.ts";

/** How the volume is made. The other members go into the record. */
export interface Making {
  readonly method: Method<typeof BlockStorageSchema>;
  /** Other objects that must not change in the meantime. */
  readonly keys?: readonly string[];
  readonly annotations?: { readonly [key: string]: string };
  /** The image of another project on which it rests. It must be as it was seen, when the record refers to it. */
  readonly image?: Stored<unknown>;
  /** Runs under the keys, before anything is written. `limitBytes` is the limit of the new block storage. */
  check?(limitBytes: bigint): Promise<void>;
  /** Runs the steps that make the volume. @returns what it rests on. */
  make(tx: Tx, place: VolumePlace): Promise<Base | undefined>;
}

/**
 * Makes a block storage. If its name belongs to a soft-deleted one, or to one that a stack replaces, it replaces
 * that, which is purged when the new one exists.
 *
 * @throws N0Error `invalid_argument`, `already_exists`, `not_found` for the requested node,
 * `resource_exhausted`, `unavailable`, `aborted`.
 */
export async function makeBlockStorage(
  api: Api,
  call: Call,
  asked: MakeRequest,
  making: Making,
): Promise<BlockStorage> {
  const request = { ...asked, limitBytes: limitOf(asked) };
  checkSizes(request, api.storageRequestRatioMin);
  const ref = refOf(call, blockStorages, request.name);
  const key = blockStorages.key(ref);
  const differ = (found: BlockStorage) =>
    differentOf(key, request, making.annotations ?? {}, found);
  const find = async () => (await api.records.find(blockStorages, ref))?.value;
  const keys = keysOf(ref, making.keys ?? [], find, (found) => differ(found).loss !== undefined);
  return await runSaga(api, call, { method: making.method, keys }, async (tx) => {
    const replaced = await find();
    let live: BlockStorage | undefined;
    if (replaced !== undefined && replaced.state !== State.DELETED) {
      const found = existing("block storage", ref, replaced);
      const isReplaced = await throwUnlessStanding(tx, found, () => differ(replaced));
      if (!isReplaced) return await tx.answer(replaced);
      await throwUnlessReplaceable(api, ref, replaced, tx.signal);
      live = replaced;
    } else if (replaced !== undefined) hearOfPurge(key, replaced);
    if (replaced !== undefined) await throwIfBase(api, ref, replaced);
    await making.check?.(request.limitBytes);
    using placed = place(api, ref, request, live);
    const blank = newRecord(tx, ref, request, making, placed.nodeName);
    blank.usedBy = live?.usedBy ?? "";
    const refersTo = making.image === undefined ? [] : [making.image];
    await blockStorageSteps.replace(tx, ref, replaced, blank, refersTo);
    await tx.run(reserveStorage, {
      nodeName: placed.nodeName,
      id: blank.volumeId,
      storage: reservationOf(ref, blank),
    });
    placed[Symbol.dispose]();

    const base = await making.make(tx, {
      nodeName: placed.nodeName,
      volumeId: blank.volumeId,
      ref,
      sizeBytes: request.limitBytes.toString(),
    });
    if (live !== undefined) await handOver(tx, ref, live, blank.volumeId);
    const removal = replaced === undefined ? [] : await removalOf(tx, ref, replaced);
    const state = blank.usedBy === "" ? State.AVAILABLE : State.IN_USE;
    const made = finish(blank, base, state);
    return await tx.answerRecord(blockStorages, ref, made, blank, ...removal);
  });
}

/** @param replaced stays on its node, unless the request names another one. */
function place(
  api: Api,
  ref: Ref,
  request: MakeRequest,
  replaced: Replaced | undefined,
): Disposable & { readonly nodeName: string } {
  const { name } = ref;
  const wish = storageSizes(request);
  const what = `block storage "${name}"`;
  const wanted = requestedNode(api.inventory, what, request, REQUEST_NODE_OF_BLOCK_STORAGE);
  const nodeName = schedule(api.inventory.viewsWithHolds(), {
    what,
    ...wish,
    ...defined({ nodeName: wanted ?? plannedNode() ?? replaced?.nodeName }),
  });
  if (replaced !== undefined) throwIfElsewhere(ref, replaced, nodeName);
  const hold = api.inventory.hold(nodeName, countedOn(api.inventory.get(nodeName).node, wish));
  return { nodeName, [Symbol.dispose]: () => hold[Symbol.dispose]() };
}

/** With the virtual machine that uses the block storage, if a stack may replace that: it gets the new volume. */
function keysOf(
  ref: Ref,
  others: readonly string[],
  find: () => Promise<BlockStorage | undefined>,
  canLose: (found: BlockStorage) => boolean,
): Keys {
  const own = blockStorages.key(ref);
  if (currentTask()?.set.onDifferent === undefined) return [own, ...others];
  return async () => {
    const found = await find();
    const isReplaced = found !== undefined && canLose(found);
    return [...(isReplaced ? withUser(ref, found) : [own]), ...others];
  };
}

function newRecord(
  tx: Tx,
  ref: Ref,
  request: MakeRequest,
  making: Making,
  nodeName: string,
): BlockStorage {
  const { labels = {}, requestBytes, limitBytes } = request;
  const annotations = { ...request.annotations, ...making.annotations };
  const volumeId = newVolumeId(tx.context.api, ref);
  const sizes = { requestBytes, limitBytes };
  const blank = blankRecord(ref, { ...sizes, annotations, labels, nodeName, volumeId });
  const image = refOfKey(making.image?.key ?? "");
  if (image !== undefined) blank.imageName = nameBeside(ref, image);
  return pending(blank, tx.id);
}

/** The record of a block storage that has no state yet. */
export function blankRecord(
  ref: Ref,
  of: Pick<BlockStorage, "requestBytes" | "limitBytes" | "nodeName" | "volumeId"> &
    Partial<Pick<MakeRequest, "annotations" | "labels">>,
): BlockStorage {
  return create(BlockStorageSchema, { ...of, name: ref.name, storageName: nameOnNode(ref) });
}

/** No id is used twice, so the old file can be removed after the new one exists. */
export function newVolumeId({ random }: Pick<Api, "random">, ref: Ref): string {
  return `${nameOnNode(ref)}.${random.uuid().replaceAll("-", "").slice(0, 12)}`;
}

/**
 * The node reserves for all scopes alike, so the reservation has the name on the node, which is unique there.
 */
export function reservationOf(ref: Ref, { requestBytes, limitBytes }: BlockStorage) {
  const name = nameOnNode(ref);
  return {
    name,
    owner: formatRef(ref),
    annotations: { [BLOCK_STORAGE_RESERVED_BY]: name },
    requestBytes: requestBytes.toString(),
    limitBytes: limitBytes.toString(),
  };
}

/** The record of a block storage whose volume is complete. */
export function finish(
  blank: BlockStorage,
  base: Base | undefined,
  state: State = State.AVAILABLE,
): BlockStorage {
  const finished = basedOn(settled(blank, state), base);
  finished.annotations[BLOCK_STORAGE_URL] = volumeUrl(blank.volumeId);
  return finished;
}
