import type { Stored } from "../../../../datastore/records.ts";
import {
  PartState,
  type SurveyedVolume,
} from "../../../../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import {
  type BlockStorage,
  BlockStorage_BlockStorageState as State,
} from "../../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { formatRef, parseRefOf, type Ref, refOnNode } from "../../../../util/ref.ts";
import type { Finding as FindingOf } from "../../../core/audit/finding.ts";
import type { NodeView, View } from "../../../core/audit/view.ts";
import type { Api } from "../../context.ts";
import { blockStorageBeside, blockStorages, type Replica, replicas } from "../collection.ts";
import { withUser } from "../record.ts";
import type { Code } from "./codes.ts";
import { nodeOfCopy, nodeOfDisk } from "./records.ts";
import {
  adopt,
  forgetReplica,
  markVolume,
  recordReplica,
  removePartial,
  settleSize,
  takeBacking,
} from "./repair.ts";

type Finding = FindingOf<Code, Api>;

const SECTOR_BYTES = 512n;
const NAME_LENGTH_MAX = 63;
/** In the form in which `makeBlockStorage` makes it. */
const VOLUME_ID = /^(.+)\.[0-9a-f]{12}$/;

/** The files of one node. */
export function compareVolumes(node: NodeView): Finding[] {
  const { nodeName, survey, view } = node;
  const volumes = new Map(survey.volumes.map((volume) => [idOf(volume), volume]));
  const disks = view.records.by(blockStorages, nodeOfDisk).get(nodeName) ?? [];
  const copies = view.records.by(replicas, nodeOfCopy).get(nodeName) ?? [];
  const known = new Set([...disks, ...copies].map(({ value }) => value.volumeId));
  return [
    ...disks.flatMap((stored) =>
      stored.value.state === State.PENDING ? [] : compareDisk(node, stored, volumes),
    ),
    ...copies.flatMap((copy) => compareCopy(node, copy, volumes, disks)),
    ...survey.volumes.flatMap((volume) =>
      known.has(idOf(volume)) ? [] : strangers(node, volume, disks),
    ),
  ];
}

function idOf({ listed }: SurveyedVolume): string {
  return listed?.id ?? "";
}

/** The keys of a transaction that changes the file of the block storage. */
function keysAround(ref: Ref, disk: BlockStorage): string[] {
  const { baseBlockStorageName: base } = disk;
  const ofBase = base === "" ? [] : [blockStorages.key(blockStorageBeside(ref, base))];
  return [...withUser(ref, disk), ...ofBase];
}

function compareDisk(
  node: NodeView,
  { key, value: disk }: Stored<BlockStorage>,
  volumes: ReadonlyMap<string, SurveyedVolume>,
): Finding[] {
  const ref = blockStorages.refOf(key);
  const about = {
    resource: formatRef(ref),
    nodeName: node.nodeName,
    keys: keysAround(ref, disk),
  };
  const volume = volumes.get(disk.volumeId);
  if (volume?.hasFile !== true) {
    const expected = `the file of volume "${disk.volumeId}"`;
    return [{ code: "disk.without_volume", expected, found: "no file", ...about }];
  }
  if (volume.isDamaged) {
    const expected = `a qcow2 file of ${disk.limitBytes} bytes`;
    return [{ code: "disk.damaged", expected, found: "no qcow2", ...about }];
  }
  return [
    ...compareMark(ref, disk, volume, about),
    ...compareSize(ref, disk, volume, about),
    ...compareBacking(node, ref, disk, volume, volumes, about),
  ];
}

type About = Pick<Finding, "resource" | "nodeName" | "keys">;

function compareMark(
  ref: Ref,
  disk: BlockStorage,
  { listed, mark }: SurveyedVolume,
  about: About,
): Finding[] {
  const owner = formatRef(ref);
  const isLost = mark !== PartState.WHOLE;
  if (!isLost && listed?.owner === owner) return [];
  const found = isLost
    ? mark === PartState.ABSENT
      ? "no sidecar"
      : "a sidecar that cannot be read"
    : `the mark of ${listed?.owner}`;
  const finding: Finding = {
    code: "volume.mark_lost",
    expected: `the mark of ${owner}`,
    found,
    ...about,
    ...(isLost ? { repair: markVolume(ref, disk) } : {}),
  };
  return [finding];
}

function compareSize(
  ref: Ref,
  disk: BlockStorage,
  { listed }: SurveyedVolume,
  about: About,
): Finding[] {
  const bytes = ((disk.limitBytes + SECTOR_BYTES - 1n) / SECTOR_BYTES) * SECTOR_BYTES;
  const there = listed?.virtualSizeBytes ?? 0n;
  if (there === bytes) return [];
  return [
    {
      code: "disk.size_differs",
      expected: `${bytes} bytes`,
      found: `${there} bytes`,
      ...about,
      repair: settleSize(ref, disk, there),
    },
  ];
}

function compareBacking(
  { survey }: NodeView,
  ref: Ref,
  disk: BlockStorage,
  { backing }: SurveyedVolume,
  volumes: ReadonlyMap<string, SurveyedVolume>,
  about: About,
): Finding[] {
  const findings: Finding[] = [];
  const base = volumes.get(backing);
  if (backing !== disk.baseVolumeId) {
    const isKnown = backing === "" || (base !== undefined && base.hasFile);
    findings.push({
      code: "disk.backing_differs",
      expected: textOf(disk.baseVolumeId),
      found: textOf(backing),
      ...about,
      ...(isKnown ? { repair: takeBacking(ref, disk, backing, base?.listed?.owner ?? "") } : {}),
    });
  }
  const missing = firstMissing(backing, volumes, survey.volumes.length);
  if (missing !== undefined) {
    const expected = `the file of volume "${missing}"`;
    findings.push({ code: "disk.backing_missing", expected, found: "no file", ...about });
  }
  return findings;
}

function textOf(backing: string): string {
  return backing === "" ? "rests on nothing" : `rests on "${backing}"`;
}

/** Follows the chain of bases as the files name them. A circle ends after as many steps as there are files. */
function firstMissing(
  backing: string,
  volumes: ReadonlyMap<string, SurveyedVolume>,
  countMax: number,
): string | undefined {
  let next = backing;
  for (let count = 0; next !== "" && count <= countMax; count++) {
    const volume = volumes.get(next);
    if (volume?.hasFile !== true) return next;
    next = volume.backing;
  }
  return undefined;
}

function compareCopy(
  { nodeName, view }: NodeView,
  { key, value: { volumeId } }: Stored<Replica>,
  volumes: ReadonlyMap<string, SurveyedVolume>,
  disks: readonly Stored<BlockStorage>[],
): Finding[] {
  const ref = replicas.refOf(key);
  const base = view.records.find(blockStorages, ref)?.value;
  // A copy of no base is compared with the records.
  if (base === undefined || volumes.get(volumeId)?.hasFile === true) return [];
  const isUsed = disks.some(({ value }) => value.baseVolumeId === volumeId);
  return [
    {
      code: "replica.without_volume",
      resource: formatRef(ref),
      nodeName,
      expected: `the file of its copy "${volumeId}"`,
      found: "no file",
      keys: [blockStorages.key(ref), key, ...keysAround(ref, base)],
      ...(isUsed ? {} : { repair: forgetReplica(ref, nodeName, volumeId) }),
    },
  ];
}

/** Volumes without a record. A volume without our mark is not ours, and verify ignores it. */
function strangers(
  { nodeName, view }: NodeView,
  volume: SurveyedVolume,
  disks: readonly Stored<BlockStorage>[],
): Finding[] {
  const { listed, mark, hasFile, isDamaged, partialCount } = volume;
  const id = idOf(volume);
  const ref = parseRefOf(blockStorages.kind, listed?.owner) ?? refOfVolume(id);
  const isOurs = mark === PartState.WHOLE || (partialCount > 0 && VOLUME_ID.test(id));
  if (ref === undefined || !isOurs) return [];
  const about = {
    resource: formatRef(ref),
    nodeName,
    keys: [blockStorages.key(ref), replicas.key(ref, nodeName)],
    madeBy: listed?.transactionId ?? "",
  };
  if (!hasFile || mark !== PartState.WHOLE) {
    if (hasFile) return [];
    const found = `${partialCount > 0 ? "a half-made file" : "a sidecar alone"} of volume "${id}"`;
    const repair = removePartial(nodeName, id, ref);
    return [{ code: "volume.left_over", expected: "nothing", found, ...about, repair }];
  }
  const users = disks.filter(({ value }) => value.baseVolumeId === id);
  const expected = "a record";
  const found = `volume "${id}" of ${listed?.virtualSizeBytes} bytes`;
  if (users.length > 0) {
    const known = view.records.find(replicas, ref, nodeName);
    const repair = known === undefined ? { repair: recordReplica(ref, nodeName, id) } : {};
    return [{ code: "replica.missing", expected, found, ...about, ...repair }];
  }
  const adopted = freeName(view, ref, id);
  const repair = isDamaged ? {} : { repair: adopt(adopted, nodeName, volume) };
  const keys = [...about.keys, blockStorages.key(adopted)];
  return [{ code: "volume.without_record", expected, found, ...about, keys, ...repair }];
}

/** Its own name, or if another block storage has that, a name that shows where it comes from. */
function freeName({ records }: View, ref: Ref, id: string): Ref {
  if (records.find(blockStorages, ref) === undefined) return ref;
  return { ...ref, name: `${ref.name.slice(0, NAME_LENGTH_MAX - 13)}-${id.slice(-12)}` };
}

/** For a file without a mark: its id begins with the name on the node. */
function refOfVolume(id: string): Ref | undefined {
  const onNode = VOLUME_ID.exec(id)?.[1];
  return onNode === undefined ? undefined : refOnNode(blockStorages.kind, onNode);
}
