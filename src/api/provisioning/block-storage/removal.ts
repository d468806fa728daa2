import { remove } from "../../../datastore/collection.ts";
import { merge } from "../../../datastore/datastore.ts";
import type { BlockStorage } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { type Later, later, type Retriable } from "../../../transaction/step.ts";
import type { Json } from "../../../util/json.ts";
import { type Ref, refFrom } from "../../../util/ref.ts";
import type { SagaContext, Tx } from "../../core/context.ts";
import { stepNode } from "../../core/saga/node-step.ts";
import { storages } from "../../pool/inventory/collection.ts";
import { release } from "../../pool/inventory/reservations.ts";
import { blockStorages, overlays, replicas } from "./collection.ts";
import { forgetBase } from "./volume/bases.ts";
import { removeVolumeLater } from "./volume/volume-steps.ts";

/** A removed file, and its records. */
type Forgotten = {
  readonly nodeName: string;
  readonly volumeId: string;
  /** The base of the overlay; empty for none. */
  readonly baseVolumeId: string;
  /** The block storage of which it was a copy, for copies of a base; otherwise null. */
  readonly replicaOf: Ref | null;
};

/** An older version held a name here, which was empty for none. */
function forgottenToday(input: Json): Forgotten {
  const { replicaOf, ...rest } = input as Omit<Forgotten, "replicaOf"> & {
    readonly replicaOf: Ref | string | null;
  };
  const isNone = replicaOf === null || replicaOf === "";
  return { ...rest, replicaOf: isNone ? null : refFrom(blockStorages.kind, replicaOf) };
}

/**
 * Runs after the file is removed, and only writes records: frees its bytes, and records that its base no longer
 * carries it.
 */
export const forgetVolume: Retriable<SagaContext, Forgotten> = {
  name: "volume.forget",
  today: forgottenToday,
  async act({ api }, { nodeName, volumeId, baseVolumeId, replicaOf }) {
    const replica = replicaOf && (await api.records.find(replicas, replicaOf, nodeName));
    // The base may have been replaced, and have another copy there by now.
    const isLast = replicaOf !== null && replica?.value.volumeId === volumeId;
    await api.datastore.batch(
      merge(
        release(storages, nodeName, volumeId),
        forgetBase({ baseVolumeId, volumeId }),
        isLast ? remove(replicas, replicaOf, nodeName) : {},
      ),
    );
  },
};

/**
 * The steps after the pivot that remove the files of a block storage, with its copies on other nodes. For its
 * errors see `removeFile`.
 *
 * @param removedBefore The volumes that the same transaction removes before.
 */
export async function removalOf(
  tx: Tx,
  ref: Ref,
  { nodeName, volumeId, baseVolumeId }: BlockStorage,
  removedBefore: ReadonlySet<string> = new Set(),
): Promise<Later[]> {
  const copies = await tx.context.api.records.list(replicas, [ref]);
  const all: Forgotten[] = [
    ...copies.map(({ key, value }) => ({
      nodeName: replicas.parts(key)[1]!,
      volumeId: value.volumeId,
      baseVolumeId: "",
      replicaOf: ref,
    })),
    { nodeName, volumeId, baseVolumeId, replicaOf: null },
  ];
  const laters: Later[] = [];
  for (const forgotten of all) {
    laters.push(...(await removeFile(tx, ref, forgotten, removedBefore)));
  }
  return laters;
}

/**
 * The steps after the pivot that remove one file. First asks its node whether anything prevents that, such as
 * an overlay without a record: after the pivot that would prevent the removal for ever.
 *
 * @throws N0Error `failed_precondition` for a base of others; `unavailable` if its node does not answer.
 */
export async function removeFile(
  tx: Tx,
  ref: Ref,
  forgotten: Forgotten,
  removedBefore: ReadonlySet<string> = new Set(),
): Promise<Later[]> {
  const { nodeName, volumeId: id } = forgotten;
  const { api } = tx.context;
  if (!api.agents.isLost(nodeName)) {
    const scope = { transactionId: tx.id, generation: tx.generation, signal: tx.signal };
    const resting = (await api.records.list(overlays, [id])).map(
      ({ key }) => overlays.parts(key)[1]!,
    );
    const gone = resting.filter((overlay) => removedBefore.has(overlay));
    const asked = { id, checkOnly: true, removedBefore: gone };
    await stepNode(api, nodeName, ref, scope).volume((c, operation, options) =>
      c.ensureVolumeAbsent({ operation, ...asked }, options),
    );
  }
  return [
    later(removeVolumeLater, { nodeName, volumeId: id, ref, sizeBytes: "0" }),
    later(forgetVolume, forgotten),
  ];
}
