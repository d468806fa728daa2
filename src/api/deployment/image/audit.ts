import { keyText } from "../../../datastore/key.ts";
import { BlockStorage_BlockStorageState as DiskState } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { defineAudit } from "../../core/audit/audit.ts";
import type { Codes } from "../../core/audit/codes.ts";
import type { Finding as FindingOf } from "../../core/audit/finding.ts";
import type { View } from "../../core/audit/view.ts";
import { diskStateName } from "../../provisioning/block-storage/audit/records.ts";
import { protectDisk } from "../../provisioning/block-storage/audit/repair.ts";
import { blockStorageBeside, blockStorages } from "../../provisioning/block-storage/collection.ts";
import type { Api } from "../../provisioning/context.ts";
import { images } from "./collection.ts";

const codes = {
  "image.disk_missing": {
    rank: 540,
    severity: "warning",
    means: "an image registers a block storage that does not exist",
    byHand: "unregister it from the image",
  },
  "image.disk_not_protected": {
    rank: 550,
    severity: "error",
    means:
      "an image registers a block storage that is not PROTECTED, so it could change under others",
    repair: "protects the block storage",
    byHand: "it is in use or deleted: end that, or unregister it from the image",
  },
} as const satisfies Codes;

type Finding = FindingOf<keyof typeof codes, Api>;

/** Compares images with the block storages that are registered in them. */
export const imageAudit = defineAudit({
  codes,
  compare: async (view: View<Api>) => (view.isWanted("") ? compareImages(view) : []),
});

function compareImages({ records }: View): Finding[] {
  return records.list(images).flatMap(({ key, value: image }) =>
    image.registeredBlockStorages.flatMap(({ blockStorageName: name }): Finding[] => {
      const diskRef = blockStorageBeside(images.refOf(key), name);
      const disk = records.find(blockStorages, diskRef)?.value;
      const about = {
        resource: keyText(key),
        nodeName: "",
        expected: `block storage "${name}", PROTECTED`,
        keys: [key, blockStorages.key(diskRef)],
      };
      if (disk === undefined) return [{ code: "image.disk_missing", found: "no record", ...about }];
      if (disk.state === DiskState.PROTECTED || disk.state === DiskState.PENDING) return [];
      const isFree = disk.state === DiskState.AVAILABLE;
      const repair = isFree ? { repair: protectDisk(diskRef, disk) } : {};
      const found = diskStateName(disk.state);
      return [{ code: "image.disk_not_protected", found, ...about, ...repair }];
    }),
  );
}
