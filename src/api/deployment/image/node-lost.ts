import { merge } from "../../../datastore/datastore.ts";
import type { BlockStorage } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import type { Later } from "../../../transaction/step.ts";
import type { LostObjects, Tx } from "../../core/context.ts";
import { storages } from "../../pool/inventory/collection.ts";
import { blockStorages, replicas } from "../../provisioning/block-storage/collection.ts";
import { removeFile } from "../../provisioning/block-storage/removal.ts";
import type { Api } from "../../provisioning/context.ts";
import { images } from "./collection.ts";
import { type Fate, fateOf, writeFate } from "./lost-disk.ts";
import { isRegistered, unregistered } from "./record.ts";

/**
 * The disks of a lost node go with it, and leave their images. But a base of which another node has a copy
 * that disks rest on, or may, goes on there: so what becomes of a disk is said here and not where disks are.
 */
export async function onNodeLost(api: Api, nodeName: string): Promise<LostObjects> {
  const all = (await api.records.list(images)).map(({ value }) => value);
  const disks: { readonly disk: BlockStorage; readonly fate: Fate }[] = [];
  for (const { value: disk } of await api.records.list(blockStorages)) {
    if (disk.nodeName === nodeName) disks.push({ disk, fate: await fateOf(api, disk, all) });
  }
  const gone = disks.filter(({ fate }) => fate.kind === "goes").map(({ disk }) => disk.name);
  const changing = all.filter((image) => gone.some((disk) => isRegistered(image, disk)));
  // Of bases that are elsewhere.
  const copies = (await api.records.list(replicas)).filter(
    ({ key }) => replicas.parts(key)[1] === nodeName,
  );
  const files = [...disks.map(({ disk }) => disk), ...copies.map(({ value }) => value)];
  return {
    keys: [
      ...disks.map(({ disk }) => blockStorages.key(disk.name)),
      ...changing.map(({ name }) => images.key(name)),
      ...copies.map(({ key }) => key),
    ],
    reserved: files.map(({ volumeId }) => storages.key(nodeName, volumeId)),
    async forget(tx) {
      const { held } = tx.context;
      const without = new Set(gone);
      return {
        writes: merge(
          ...disks.map(({ disk, fate }) => writeFate(held, disk, fate)),
          ...changing.map((image) =>
            held.put(images, image.name, unregistered(image, without), image),
          ),
          { deletes: copies.map(({ key }) => key) },
        ),
        files: await removeCopies(tx, disks),
      };
    },
  };
}

/** On the other nodes, of the disks that go. */
async function removeCopies(
  tx: Tx,
  disks: readonly { readonly disk: BlockStorage; readonly fate: Fate }[],
): Promise<readonly Later[]> {
  const files: Later[] = [];
  for (const { disk, fate } of disks) {
    for (const copy of fate.kind === "goes" ? fate.copies : []) {
      files.push(...(await removeFile(tx, disk.name, { ...copy, replicaOf: disk.name })));
    }
  }
  return files;
}
