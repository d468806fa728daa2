import { merge } from "../../../datastore/datastore.ts";
import type { Stored } from "../../../datastore/records.ts";
import { referrersOf } from "../../../datastore/references.ts";
import type { Image } from "../../../gen/n0stack/deployment/v0/image_pb.ts";
import type { BlockStorage } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import type { Later } from "../../../transaction/step.ts";
import type { Ref } from "../../../util/ref.ts";
import type { LostObjects, Tx } from "../../core/context.ts";
import { storages } from "../../pool/inventory/collection.ts";
import { blockStorages, replicas } from "../../provisioning/block-storage/collection.ts";
import { removeFile } from "../../provisioning/block-storage/removal.ts";
import type { Api } from "../../provisioning/context.ts";
import { images } from "./collection.ts";
import { type Fate, fateOf, writeFate } from "./lost-disk.ts";
import { unregistered } from "./record.ts";

interface LostDisk {
  readonly ref: Ref;
  readonly disk: BlockStorage;
  readonly fate: Fate;
  readonly images: readonly Stored<Image>[];
}

/**
 * The block storages of a lost node are lost with it, and leave their images. But if another node has a copy of
 * a base, on which block storages may rest, the base continues there. That is why this file decides, and not
 * the one of block storages.
 */
export async function onNodeLost(api: Api, nodeName: string): Promise<LostObjects> {
  const { disks, copies } = await filesOn(api, nodeName);
  const gone = disks.filter(({ fate }) => fate.kind === "goes");
  const changing = new Map(
    gone.flatMap((disk) => disk.images.map((image) => [image.key, image] as const)),
  );
  const files = [...disks.map(({ disk }) => disk), ...copies.map(({ value }) => value)];
  return {
    keys: [
      ...disks.map(({ ref }) => blockStorages.key(ref)),
      ...changing.keys(),
      ...copies.map(({ key }) => key),
    ],
    reserved: files.map(({ volumeId }) => storages.key(nodeName, volumeId)),
    async forget(tx) {
      const { held } = tx.context;
      return {
        writes: merge(
          ...disks.map(({ ref, disk, fate }) => writeFate(held, ref, disk, fate)),
          ...[...changing.values()].map(({ key, value }) => {
            const ref = images.refOf(key);
            const beside = gone.filter((one) => one.ref.scope === ref.scope);
            const without = new Set(beside.map((one) => one.ref.name));
            return held.put(images, ref, unregistered(value, without), value);
          }),
          { deletes: copies.map(({ key }) => key) },
        ),
        files: await removeCopies(tx, disks),
      };
    },
  };
}

/**
 * The block storages on a node, and its copies of bases of other nodes. This reads all of them, because one
 * whose reservation is lost must not stay behind.
 */
async function filesOn(api: Api, nodeName: string) {
  const { records } = api;
  const disks: LostDisk[] = [];
  for (const { key, value: disk } of await records.list(blockStorages)) {
    if (disk.nodeName !== nodeName) continue;
    const ref = blockStorages.refOf(key);
    const registering = await imagesOf(api, ref);
    disks.push({ ref, disk, fate: await fateOf(api, ref, registering), images: registering });
  }
  const all = await records.list(replicas);
  return { disks, copies: all.filter(({ key }) => replicas.parts(key)[1] === nodeName) };
}

/** The images in which a block storage is registered. */
async function imagesOf({ records }: Pick<Api, "records">, disk: Ref): Promise<Stored<Image>[]> {
  const refs = await referrersOf(records, disk, { kind: images.kind });
  const found = await Promise.all(refs.map((ref) => records.find(images, ref)));
  return found.filter((stored) => stored !== undefined);
}

/** The copies of the lost block storages on other nodes. */
async function removeCopies(tx: Tx, disks: readonly LostDisk[]): Promise<readonly Later[]> {
  const files: Later[] = [];
  for (const { ref, fate } of disks) {
    for (const copy of fate.kind === "goes" ? fate.copies : []) {
      files.push(...(await removeFile(tx, ref, { ...copy, replicaOf: ref })));
    }
  }
  return files;
}
