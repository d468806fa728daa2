import type { Drifts } from "../../../../test/drift.ts";
import { imageRef } from "../../../../test/refs.ts";
import { references } from "../../../datastore/references.ts";
import { BlockStorage_BlockStorageState as DiskState } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { images } from "./collection.ts";

/** One for each code of the audit. */
export const drifts: Drifts = {
  "image.disk_missing": {
    drift: async ({ read, write }) => {
      const image = await read(images, imageRef("debian"));
      const [registered] = image.registeredBlockStorages;
      const lost = { ...registered!, blockStorageName: "lost" };
      const registeredBlockStorages = [...image.registeredBlockStorages, lost];
      await write(images, [imageRef("debian")], { ...image, registeredBlockStorages });
      await write(
        references,
        ["block_storage", "default", "lost", "image", "default", "debian"],
        {},
      );
    },
    left: ["image.disk_missing"],
  },
  "image.disk_not_protected": {
    drift: ({ changeDisk }) => changeDisk("base", { state: DiskState.AVAILABLE }),
  },
};
