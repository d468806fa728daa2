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
import { forgetBase } from "./bases.ts";
import { blockStorages, replicas } from "./collection.ts";
import { removeVolumeLater } from "./volume/volume-steps.ts";

/** A file that is gone, and what is kept about it. */
type Forgotten = {
  readonly nodeName: string;
  readonly volumeId: string;
  /** What it was an overlay on; empty for nothing. */
  readonly baseVolumeId: string;
  /** The block storage that it was a copy of, for the copies of a base; null for others. */
  readonly replicaOf: Ref | null;
};

/** An older version held a name, which was empty for none. */
function forgottenToday(input: Json): Forgotten {
  const { replicaOf, ...rest } = input as Omit<Forgotten, "replicaOf"> & {
    readonly replicaOf: Ref | string | null;
  };
  const isNone = replicaOf === null || replicaOf === "";
  return { ...rest, replicaOf: isNone ? null : refFrom(blockStorages.kind, replicaOf) };
}

/** After its file is gone: writes records alone. Gives back its bytes, and what it rested on no longer carries it. */
export const forgetVolume: Retriable<SagaContext, Forgotten> = {
  name: "volume.forget",
  today: forgottenToday,
  async act({ api }, { nodeName, volumeId, baseVolumeId, replicaOf }) {
    await api.datastore.batch(
      merge(
        release(storages, nodeName, volumeId),
        forgetBase({ baseVolumeId, volumeId }),
        replicaOf === null ? {} : remove(replicas, replicaOf, nodeName),
      ),
    );
  },
};

/**
 * What is to be done after the pivot to remove the files of a block storage, its copies on other nodes
 * included. For its errors see `removeFile`.
 */
export async function removalOf(
  tx: Tx,
  ref: Ref,
  { nodeName, volumeId, baseVolumeId }: BlockStorage,
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
  for (const forgotten of all) laters.push(...(await removeFile(tx, ref, forgotten)));
  return laters;
}

/**
 * The steps after the pivot that remove one file. Its node is asked first whether anything stands in the
 * way, such as an overlay that no record knows: after the pivot that would hinder the removal for ever.
 *
 * @throws N0Error `failed_precondition` for a base of others; `unavailable` when its node does not answer.
 */
export async function removeFile(tx: Tx, ref: Ref, forgotten: Forgotten): Promise<Later[]> {
  const { nodeName, volumeId: id } = forgotten;
  const { api } = tx.context;
  if (!api.agents.isLost(nodeName)) {
    const scope = { transactionId: tx.id, generation: tx.generation, signal: tx.signal };
    const asked = { id, checkOnly: true };
    await stepNode(api, nodeName, ref, scope).volume((c, operation, options) =>
      c.ensureVolumeAbsent({ operation, ...asked }, options),
    );
  }
  return [
    later(removeVolumeLater, { nodeName, volumeId: id, ref, sizeBytes: "0" }),
    later(forgetVolume, forgotten),
  ];
}
