import { jsonCollection, protoCollection } from "../../../datastore/collection.ts";
import {
  type BlockStorage,
  BlockStorageSchema,
} from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { nameOnNode, type Ref, refBeside } from "../../../util/ref.ts";
import { BLOCK_STORAGE_URL, volumeUrl } from "../../core/annotations.ts";

export const blockStorages = protoCollection("block_storage", BlockStorageSchema, {
  today: withoutNodePath,
  references: { image: ({ imageName }) => (imageName === "" ? [] : [imageName]) },
});

/** An older version wrote the path on the node here. */
function withoutNodePath(disk: BlockStorage): BlockStorage {
  if (disk.annotations[BLOCK_STORAGE_URL] !== undefined) {
    disk.annotations[BLOCK_STORAGE_URL] = volumeUrl(disk.volumeId);
  }
  return disk;
}

/**
 * Under block storage and node: the id of the copy of a protected base that overlays there rest on, and the
 * registration of the base that was copied. Between two registrations somebody may have written to the base.
 */
export type Replica = { readonly volumeId: string; readonly registration: string };
export const replicas = jsonCollection<Replica>("replica", { of: "block_storage" });
/** Under the id of a base volume and that of an overlay on it. It prevents the purge of the base. */
export const overlays = jsonCollection<Overlay>("overlay");
/** `blockStorage` is the name on its node of the block storage that has the overlay. */
type Overlay = { readonly blockStorage: string };

export function overlayOf(ref: Ref): Overlay {
  return { blockStorage: nameOnNode(ref) };
}

/** A block storage that another object names. */
export function blockStorageBeside(of: Pick<Ref, "scope">, name: string): Ref {
  return refBeside(of, blockStorages.kind, name);
}
