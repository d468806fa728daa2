import { kindOf } from "../../../../util/errors.ts";
import { nameOnNode, type Ref } from "../../../../util/ref.ts";
import { nodeRetriable, nodeStep } from "../../../core/saga/node-step.ts";
import { namesToRefs } from "../../../core/saga/older-input.ts";
import type { Api, NodeWork, StepNode } from "../../context.ts";
import { virtualMachines } from "../../virtual-machine/collection.ts";
import { isActiveDomain } from "../../virtual-machine/domain/domain-states.ts";
import { OLDER_NAMES, type VolumePlace, volumeMessage } from "./volume-steps.ts";

/** A volume that grows: to `sizeBytes`, from `beforeBytes`. Decimal. */
export type GrowingVolume = VolumePlace & { readonly beforeBytes: string };

export type GrowingDisk = GrowingVolume & { readonly virtualMachine: Ref };

const today = namesToRefs<GrowingVolume>(OLDER_NAMES);
const diskToday = namesToRefs<GrowingDisk>({
  ...OLDER_NAMES,
  virtualMachine: [virtualMachines.kind, "virtualMachineName"],
});

const owner = ({ ref }: VolumePlace) => ref;

const leavesGrown = ({ volumeId, nodeName, sizeBytes }: GrowingVolume) =>
  `volume "${volumeId}" on node "${nodeName}" with ${sizeBytes} bytes, more than its block storage has`;

const leavesUngrown = ({ volumeId, nodeName }: GrowingVolume) =>
  `volume "${volumeId}" on node "${nodeName}" smaller than its block storage`;

const growthOf = ({ beforeBytes, sizeBytes }: GrowingVolume) => ({
  sizeBytes: BigInt(beforeBytes),
  grownBytes: BigInt(sizeBytes),
});

const growFile: NodeWork<GrowingVolume> = ({ volume: ask }, place) => {
  const volume = volumeMessage(place);
  return ask((c, operation, options) => c.ensureVolumeSize({ operation, volume }, options));
};

const shrinkFile: NodeWork<GrowingVolume> = ({ volume: ask }, place) => {
  const asked = { id: place.volumeId, ...growthOf(place) };
  return ask((c, operation, options) => c.undoVolumeGrowth({ operation, ...asked }, options));
};

/**
 * Grows the file, as the last step before the pivot, because that can fail for a reason that lies in the file.
 * The undo shrinks it back, if nobody has written to the new part.
 */
export const growVolume = nodeStep<GrowingVolume, Api>({
  name: "volume.grow",
  today,
  owner,
  act: growFile,
  undo: shrinkFile,
  leaves: leavesGrown,
});

/**
 * Asks the domain while it has the disk open, otherwise works on the file. A guest may power off at any moment,
 * so after a refusal of the domain this looks at it once more.
 */
function throughDomain(
  askDomain: (domain: StepNode, disk: GrowingDisk) => Promise<unknown>,
  onFile: NodeWork<GrowingDisk>,
): NodeWork<GrowingDisk> {
  return async (node, disk) => {
    const { nodeName, virtualMachine } = disk;
    const isActive = async () => {
      return isActiveDomain(await node.api.observed.read(nodeName, virtualMachine, node.signal));
    };
    if (!(await isActive())) return await onFile(node, disk);
    try {
      return await askDomain(node.as(virtualMachine), disk);
    } catch (reason) {
      if (kindOf(reason) !== "failed_precondition" || (await isActive())) throw reason;
      return await onFile(node, disk);
    }
  };
}

const growDisk = throughDomain(({ compute }, { virtualMachine, volumeId, sizeBytes }) => {
  const asked = { name: nameOnNode(virtualMachine), volumeId, sizeBytes: BigInt(sizeBytes) };
  return compute((c, operation, options) => c.growDomainDisk({ operation, ...asked }, options));
}, growFile);

const shrinkDisk = throughDomain(({ compute }, disk) => {
  const { virtualMachine, volumeId } = disk;
  const asked = { name: nameOnNode(virtualMachine), volumeId, ...growthOf(disk) };
  return compute((c, operation, options) =>
    c.undoDomainDiskGrowth({ operation, ...asked }, options),
  );
}, shrinkFile);

/**
 * Like `growVolume`, for a block storage of a virtual machine: through its domain while that has the file open.
 */
export const growDomainDisk = nodeStep<GrowingDisk, Api>({
  name: "domain.grow_disk",
  today: diskToday,
  owner,
  act: growDisk,
  undo: shrinkDisk,
  leaves: leavesGrown,
});

/** The name in journals from when a file grew after the pivot. */
export const growVolumeLater = nodeRetriable<GrowingVolume, Api>({
  name: growVolume.name,
  today,
  owner,
  act: growFile,
  leaves: leavesUngrown,
});

/** Like `growVolumeLater`. */
export const growDomainDiskLater = nodeRetriable<GrowingDisk, Api>({
  name: growDomainDisk.name,
  today: diskToday,
  owner,
  act: growDisk,
  leaves: leavesUngrown,
});
