import { put, remove, unchanged } from "../../../../datastore/collection.ts";
import { merge, type Writes } from "../../../../datastore/datastore.ts";
import type { Stored } from "../../../../datastore/records.ts";
import type { BlockStorage } from "../../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import type { Ref } from "../../../../util/ref.ts";
import { overlayOf, overlays, type Replica, replicas } from "../collection.ts";

type Based = Pick<BlockStorage, "volumeId" | "baseVolumeId">;

/**
 * The writes that record that a volume rests on its base, so that nobody purges the base. None without a base.
 */
export function recordBase(ref: Ref, { baseVolumeId, volumeId }: Based): Writes {
  return baseVolumeId === "" ? {} : put(overlays, [baseVolumeId, volumeId], overlayOf(ref));
}

/** The writes that record that a base no longer carries the volume. */
export function forgetBase({ baseVolumeId, volumeId }: Based): Writes {
  return baseVolumeId === "" ? {} : remove(overlays, baseVolumeId, volumeId);
}

/** Records the copy of a base on a node in place of `before`, if that still exists. */
export function recordCopy(
  base: Ref,
  nodeName: string,
  copy: Replica,
  before: Stored<Replica> | undefined,
): Writes {
  const parts = [base, nodeName] as const;
  return merge(put(replicas, parts, copy), unchanged(replicas, parts, before?.revision ?? 0));
}
