import { remove } from "../../datastore/collection.ts";
import { merge } from "../../datastore/datastore.ts";
import type { BlockStorage } from "../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { type Later, later, type Retriable } from "../../transaction/step.ts";
import { overlays, replicas, storages } from "../collections.ts";
import type { Api, SagaContext } from "../context.ts";
import { release } from "../node/inventory.ts";
import { removeVolumeLater } from "./volume-steps.ts";

/** A file that is gone, and what is kept about it. */
type Forgotten = {
  readonly nodeName: string;
  readonly volumeId: string;
  /** What it was an overlay on; empty for nothing. */
  readonly baseVolumeId: string;
  /** The block storage that it was a copy of, for the copies of a base; empty for others. */
  readonly replicaOf: string;
};

/** After its file is gone: gives back its bytes, and what it rested on no longer carries it. */
export const forgetVolume: Retriable<SagaContext, Forgotten> = {
  name: "volume.forget",
  async act({ api }, { nodeName, volumeId, baseVolumeId, replicaOf }) {
    await api.datastore.batch(
      merge(
        release(storages, nodeName, volumeId),
        baseVolumeId === "" ? {} : remove(overlays, baseVolumeId, volumeId),
        replicaOf === "" ? {} : remove(replicas, replicaOf, nodeName),
      ),
    );
  },
};

/** What is to be done after the pivot to remove the files of a block storage, its copies on other nodes included. */
export async function removalOf(api: Api, blockStorage: BlockStorage): Promise<Later[]> {
  const { name, nodeName, volumeId, baseVolumeId } = blockStorage;
  const copies = await api.records.list(replicas, [name]);
  return [
    ...copies.flatMap(({ key, value }) =>
      removeFile(name, {
        nodeName: replicas.parts(key)[1]!,
        volumeId: value.volumeId,
        baseVolumeId: "",
        replicaOf: name,
      }),
    ),
    ...removeFile(name, { nodeName, volumeId, baseVolumeId, replicaOf: "" }),
  ];
}

export function removeFile(name: string, forgotten: Forgotten): Later[] {
  const { nodeName, volumeId } = forgotten;
  return [
    later(removeVolumeLater, { nodeName, volumeId, name, sizeBytes: "0" }),
    later(forgetVolume, forgotten),
  ];
}
