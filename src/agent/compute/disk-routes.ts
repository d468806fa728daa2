import { wholeSectors } from "../../driver/volume/volume-errors.ts";
import type { AgentDeps } from "../agent-deps.ts";
import { change, keys } from "../change.ts";
import type { ComputePart } from "./part.ts";

/** Changes of disks while the domain is active. */
export function diskRoutes({
  compute,
  queue,
  volume,
}: AgentDeps): ComputePart<"growDomainDisk" | "undoDomainDiskGrowth"> {
  return {
    async growDomainDisk({ name, operation, volumeId, sizeBytes }) {
      await change(queue, keys.volume(volumeId), operation, async (_mark, signal) => {
        await volume.checkSize(volumeId, sizeBytes, signal);
        await compute.growDisk(name, volume.path(volumeId), wholeSectors(sizeBytes), signal);
      });
      return {};
    },

    async undoDomainDiskGrowth({ name, operation, volumeId, sizeBytes, grownBytes }) {
      const fromBytes = wholeSectors(sizeBytes);
      const growth = { fromBytes, toBytes: wholeSectors(grownBytes) };
      await change(queue, keys.volume(volumeId), operation, async (_mark, signal) => {
        await volume.checkUnusedFrom(volumeId, fromBytes, signal);
        await compute.undoGrowDisk(name, volume.path(volumeId), growth, signal);
      });
      return {};
    },
  };
}
