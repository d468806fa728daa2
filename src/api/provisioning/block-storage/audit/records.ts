import type { Stored } from "../../../../datastore/records.ts";
import {
  type BlockStorage,
  BlockStorage_BlockStorageState as DiskState,
  BlockStorage_BlockStorageStateSchema as DiskStateSchema,
} from "../../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { formatRef, nodeRef, refOnNode } from "../../../../util/ref.ts";
import type { SharedCode } from "../../../core/audit/codes.ts";
import type { Finding as FindingOf } from "../../../core/audit/finding.ts";
import { dropRecords } from "../../../core/audit/repairs.ts";
import { leftPending } from "../../../core/audit/shared.ts";
import { listWanted, surveyOf, type View } from "../../../core/audit/view.ts";
import { nodes } from "../../../pool/node/collection.ts";
import type { Api } from "../../context.ts";
import { virtualMachineBeside, virtualMachines } from "../../virtual-machine/collection.ts";
import { blockStorages, overlays, type Replica, replicas } from "../collection.ts";
import { withUser } from "../record.ts";
import type { Code } from "./codes.ts";
import { recordOverlayAgain, setAvailable, settleDisk } from "./repair.ts";

type Finding = FindingOf<Code | SharedCode, Api>;

/** Compares block storages with the records around them. */
export function compareRecords(view: View): Finding[] {
  return [
    ...listWanted(view, blockStorages, nodeOfDisk).flatMap((stored) => [
      ...leftPendingOf(view, stored),
      ...compareDisk(view, stored),
    ]),
    ...(view.isWanted("") ? compareOverlays(view) : []),
    ...listWanted(view, replicas, nodeOfCopy).flatMap((stored) => replicaOfNobody(view, stored)),
  ];
}

export function nodeOfDisk({ value }: Stored<BlockStorage>): string {
  return value.nodeName;
}

export function nodeOfCopy({ key }: Stored<Replica>): string {
  return replicas.parts(key)[1] ?? "";
}

export function diskStateName(state: DiskState): string {
  return DiskStateSchema.value[state]?.name ?? "unknown";
}

function leftPendingOf(view: View, { key, value: disk }: Stored<BlockStorage>): Finding[] {
  const { name, nodeName, state, volumeId } = disk;
  const ref = blockStorages.refOf(key);
  const finding = state === DiskState.PENDING ? leftPending(view, ref, disk, nodeName) : undefined;
  if (finding === undefined) return [];
  const isThere = surveyOf(view, nodeName)?.volumes.some(
    ({ listed, hasFile }) => hasFile && listed?.id === volumeId,
  );
  if (isThere !== true) return [finding];
  const user = view.records.list(virtualMachines).find(({ key, value }) => {
    const isBeside = virtualMachines.refOf(key).scope === ref.scope;
    return isBeside && value.blockStorageNames.includes(name);
  })?.value.name;
  return [{ ...finding, repair: settleDisk(ref, disk, user ?? "") }];
}

function compareDisk({ records }: View, { key, value: disk }: Stored<BlockStorage>): Finding[] {
  const ref = blockStorages.refOf(key);
  const { name, nodeName, usedBy, state, baseVolumeId, volumeId } = disk;
  if (state === DiskState.PENDING) return [];
  const findings: Finding[] = [];
  const about = { resource: formatRef(ref), nodeName };
  const user =
    usedBy === ""
      ? undefined
      : records.find(virtualMachines, virtualMachineBeside(ref, usedBy))?.value;
  if (usedBy !== "" && user?.blockStorageNames.includes(name) !== true) {
    const found = user === undefined ? "it does not exist" : "it does not list the disk";
    findings.push({
      code: "disk.used_by_nobody",
      expected: `virtual machine "${usedBy}" with this disk`,
      found,
      ...about,
      keys: withUser(ref, disk),
      repair: setAvailable(ref, disk),
    });
  }
  if (baseVolumeId !== "" && records.find(overlays, baseVolumeId, volumeId) === undefined) {
    findings.push({
      code: "overlay.missing",
      expected: `"${baseVolumeId}" knows of "${volumeId}"`,
      found: "it does not",
      ...about,
      keys: [key],
      repair: recordOverlayAgain(ref, disk),
    });
  }
  return findings;
}

function compareOverlays({ records }: View): Finding[] {
  return records.list(overlays).flatMap((stored) => {
    const [baseId = "", volumeId = ""] = overlays.parts(stored.key);
    const ref = refOnNode(blockStorages.kind, stored.value.blockStorage);
    const disk = records.find(blockStorages, ref)?.value;
    // While a volume is being made, its record does not name its base yet.
    const isPending = disk?.state === DiskState.PENDING;
    if (disk?.volumeId === volumeId && (disk.baseVolumeId === baseId || isPending)) return [];
    return [
      {
        code: "overlay.without_owner",
        resource: formatRef(ref),
        nodeName: "",
        expected: "nothing",
        found: `"${baseId}" is kept for "${volumeId}"`,
        keys: [blockStorages.key(ref)],
        repair: dropRecords([stored]),
      },
    ];
  });
}

function replicaOfNobody({ records }: View, stored: Stored<Replica>): Finding[] {
  const nodeName = nodeOfCopy(stored);
  const base = replicas.refOf(stored.key);
  const isOwned = records.find(blockStorages, base) !== undefined;
  const isPlaced = records.find(nodes, nodeRef(nodeName)) !== undefined;
  if (isOwned && isPlaced) return [];
  const { volumeId } = stored.value;
  const isUsed = records.list(overlays).some(({ key }) => overlays.parts(key)[0] === volumeId);
  return [
    {
      code: "replica.without_owner",
      resource: formatRef(base),
      nodeName,
      expected: isOwned ? "the record of the node" : "the record of the base",
      found: `a copy "${volumeId}"`,
      keys: [blockStorages.key(base), stored.key],
      ...(isUsed ? {} : { repair: dropRecords([stored]) }),
    },
  ];
}
