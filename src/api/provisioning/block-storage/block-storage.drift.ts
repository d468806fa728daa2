import {
  DISK_MARK,
  type Drifts,
  GHOST_VOLUME,
  RESERVED_BY_HAND,
  volumeOf,
} from "../../../../test/drift.ts";
import { blockStorageRef } from "../../../../test/refs.ts";
import { GiB } from "../../../../test/scenario.ts";
import { BlockStorage_BlockStorageState as DiskState } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { storages } from "../../pool/inventory/collection.ts";
import { blockStorages, overlays, replicas } from "./collection.ts";

/** One for each code of the audit. */
export const drifts: Drifts = {
  "disk.used_by_nobody": {
    drift: ({ changeDisk }) => changeDisk("loose", { state: DiskState.IN_USE, usedBy: "ghost" }),
  },
  "storage.without_owner": {
    drift: async (hands) => {
      const storage = await hands.read(storages, "node-1", await volumeOf(hands, "root"));
      const owner = "block_storage/ghost";
      const reserved = { ...storage, ...RESERVED_BY_HAND, owner };
      await hands.write(storages, ["node-1", GHOST_VOLUME], reserved);
    },
  },
  "disk.storage_missing": {
    drift: async (hands) => {
      await hands.drop(storages, "node-1", await volumeOf(hands, "root"));
      const { volumeId } = await hands.read(replicas, blockStorageRef("base"), "node-2");
      await hands.drop(storages, "node-2", volumeId);
    },
    found: ["disk.storage_missing", "disk.storage_missing"],
  },
  "disk.storage_differs": {
    drift: async (hands) => {
      const id = await volumeOf(hands, "root");
      const storage = await hands.read(storages, "node-1", id);
      await hands.write(storages, ["node-1", id], { ...storage, limitBytes: "1" });
    },
  },
  "disk.without_volume": {
    drift: async (hands) => {
      hands.here.volume.hands.delete(await volumeOf(hands, "loose"));
    },
    left: ["disk.without_volume"],
  },
  "disk.damaged": {
    drift: async (hands) => {
      hands.here.volume.damage.set(await volumeOf(hands, "loose"), { isDamaged: true });
    },
    left: ["disk.damaged"],
  },
  "disk.backing_missing": {
    drift: async (hands) => {
      hands.here.volume.hands.delete(await volumeOf(hands, "base"));
    },
    found: ["disk.backing_missing", "disk.without_volume"],
    left: ["disk.backing_missing", "disk.without_volume"],
  },
  "disk.backing_differs": {
    isUnwound: true,
    drift: async (hands) => {
      const id = await volumeOf(hands, "over");
      const { baseId: _, ...volume } = hands.here.volume.hands.get(id)!;
      hands.here.volume.hands.set(id, volume);
    },
  },
  "volume.mark_lost": {
    isUnwound: true,
    drift: async (hands) => {
      const lost = { sidecar: "absent", mark: undefined } as const;
      hands.here.volume.damage.set(await volumeOf(hands, "loose"), lost);
    },
  },
  "disk.size_differs": {
    drift: async (hands) => {
      for (const [name, size] of [
        ["loose", 20n * GiB],
        ["spare", 5n * GiB],
      ] as const) {
        const id = await volumeOf(hands, name);
        const volume = hands.here.volume.hands.get(id)!;
        hands.here.volume.hands.set(id, { ...volume, virtualSizeBytes: size });
      }
    },
    found: ["disk.size_differs", "disk.size_differs"],
  },
  "overlay.missing": {
    drift: async (hands) => {
      const { baseVolumeId, volumeId } = await hands.read(blockStorages, blockStorageRef("over"));
      await hands.drop(overlays, baseVolumeId, volumeId);
    },
  },
  "overlay.without_owner": {
    drift: async (hands) => {
      const base = await volumeOf(hands, "base");
      await hands.write(overlays, [base, GHOST_VOLUME], { blockStorage: "ghost" });
    },
  },
  "replica.missing": {
    isUnwound: true,
    drift: async (hands) => {
      const { volumeId } = await hands.read(replicas, blockStorageRef("base"), "node-2");
      await hands.drop(replicas, blockStorageRef("base"), "node-2");
      await hands.drop(storages, "node-2", volumeId);
    },
  },
  "replica.without_volume": {
    drift: async (hands) => {
      const base = await volumeOf(hands, "loose");
      const replica = { volumeId: `${base}0`, registration: "" };
      await hands.write(replicas, [blockStorageRef("loose"), "node-2"], replica);
    },
    found: ["disk.storage_missing", "replica.without_volume"],
  },
  "replica.without_owner": {
    drift: async ({ there, write, signal }) => {
      await there.volume.ensureEmpty(GHOST_VOLUME, GiB, DISK_MARK, signal);
      const replica = { volumeId: GHOST_VOLUME, registration: "" };
      await write(replicas, [blockStorageRef("ghost"), "node-2"], replica);
      await write(replicas, [blockStorageRef("loose"), "node-9"], replica);
    },
    found: ["replica.without_owner", "replica.without_owner"],
  },
  "volume.without_record": {
    drift: async ({ here, signal }) => {
      await here.volume.ensureEmpty(GHOST_VOLUME, GiB, DISK_MARK, signal);
      // Another block storage has its name by now.
      const mark = { ...DISK_MARK, owner: "block_storage/root" };
      await here.volume.ensureEmpty("root.0123456789ab", GiB, mark, signal);
    },
    found: ["volume.without_record", "volume.without_record"],
  },
  "volume.left_over": {
    drift: ({ here }) => {
      here.volume.damage.set(GHOST_VOLUME, { partialCount: 1 });
      here.volume.damage.set("ghost2.0123456789ab", { sidecar: "whole", mark: DISK_MARK });
    },
    found: ["volume.left_over", "volume.left_over"],
  },
};
