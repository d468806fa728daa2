import { remove } from "../../../datastore/collection.ts";
import { merge, type Writes } from "../../../datastore/datastore.ts";
import type { HeldObjects } from "../../../datastore/held-objects.ts";
import type { Stored } from "../../../datastore/records.ts";
import type { Image } from "../../../gen/n0stack/deployment/v0/image_pb.ts";
import type { BlockStorage } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import type { Ref } from "../../../util/ref.ts";
import { BLOCK_STORAGE_URL } from "../../core/annotations.ts";
import { blockStorages, overlays, replicas } from "../../provisioning/block-storage/collection.ts";
import { changed } from "../../provisioning/block-storage/record.ts";
import { forgetBase } from "../../provisioning/block-storage/volume/bases.ts";
import type { Api } from "../../provisioning/context.ts";
import { registrationOf } from "./record.ts";

/** A copy of a base on another node. */
interface Copy {
  readonly nodeName: string;
  readonly volumeId: string;
}

/** What happens to a block storage whose node is lost. */
export type Fate =
  | { readonly kind: "goes"; readonly copies: readonly (Copy & { readonly baseVolumeId: "" })[] }
  /** The copy takes its place. */
  | { readonly kind: "stays"; readonly as: Copy };

/**
 * The block storage stays if another node has a copy that certainly holds the same: on a node that exists, or,
 * with the block storages that rest on the copy, on one that is lost too. Changes nothing.
 *
 * @param images The images in which it is registered.
 */
export async function fateOf(api: Api, ref: Ref, images: readonly Stored<Image>[]): Promise<Fate> {
  const registrations = images.map(({ value }) => registrationOf(value, ref.name));
  const copies: (Copy & { readonly baseVolumeId: "" })[] = [];
  let carrier: Copy | undefined;
  for (const { key, value } of await api.records.list(replicas, [ref])) {
    const { volumeId, registration } = value;
    const copy = { nodeName: replicas.parts(key)[1]!, volumeId, baseVolumeId: "" } as const;
    const isLost = api.agents.isLost(copy.nodeName);
    // While block storages rest on a copy, nobody can have written to its base.
    const isCarrier = (await api.records.list(overlays, [volumeId])).length > 0;
    if (!isLost && (isCarrier || registrations.includes(registration))) {
      return { kind: "stays", as: copy };
    }
    if (isCarrier) carrier = copy;
    copies.push(copy);
  }
  return carrier === undefined ? { kind: "goes", copies } : { kind: "stays", as: carrier };
}

export function writeFate(held: HeldObjects, ref: Ref, disk: BlockStorage, fate: Fate): Writes {
  if (fate.kind === "goes") {
    return merge(held.remove(blockStorages, ref, disk), forgetBase(disk));
  }
  const { nodeName, volumeId } = fate.as;
  const moved = changed(disk, (copy) => {
    copy.nodeName = nodeName;
    copy.volumeId = volumeId;
    // A copy rests on nothing. Only its node knows the path of its file.
    copy.baseBlockStorageName = "";
    copy.baseVolumeId = "";
    copy.imageName = "";
    delete copy.annotations[BLOCK_STORAGE_URL];
  });
  return merge(
    held.put(blockStorages, ref, moved, disk),
    remove(replicas, ref, nodeName),
    forgetBase(disk),
  );
}
