import {
  PartState,
  type SurveyedVolume,
} from "../../../../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import {
  type BlockStorage,
  BlockStorage_BlockStorageState as State,
} from "../../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { parseRefOf } from "../../../../util/ref.ts";
import type { Finding as FindingOf } from "../../../core/audit/finding.ts";
import type { NodeView, View } from "../../../core/audit/view.ts";
import type { Api } from "../../context.ts";
import { virtualMachines } from "../../virtual-machine/collection.ts";
import { blockStorages, replicas } from "../collection.ts";
import { ownerOf } from "../record.ts";
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
/** As `makeBlockStorage` makes it. */
const VOLUME_ID = /^(.+)\.[0-9a-f]{12}$/;

/** The files of one node. */
export function compareVolumes(node: NodeView): Finding[] {
  const { nodeName, survey, view } = node;
  const volumes = new Map(survey.volumes.map((volume) => [idOf(volume), volume]));
  const { records } = view;
  const disks = (records.by(blockStorages, nodeOfDisk).get(nodeName) ?? []).map(
    ({ value }) => value,
  );
  const copies = (records.by(replicas, nodeOfCopy).get(nodeName) ?? []).map(({ key, value }) => {
    return { parts: replicas.parts(key), volumeId: value.volumeId };
  });
  const known = new Set([...disks, ...copies].map(({ volumeId }) => volumeId));
  return [
    ...disks.flatMap((disk) =>
      disk.state === State.PENDING ? [] : compareDisk(node, disk, volumes),
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

/** What a transaction that changes the disk's file holds. */
function keysAround({ name, usedBy, baseBlockStorageName: base }: BlockStorage): string[] {
  return [
    blockStorages.key(name),
    ...(usedBy === "" ? [] : [virtualMachines.key(usedBy)]),
    ...(base === "" ? [] : [blockStorages.key(base)]),
  ];
}

function compareDisk(
  node: NodeView,
  disk: BlockStorage,
  volumes: ReadonlyMap<string, SurveyedVolume>,
): Finding[] {
  const about = {
    resource: ownerOf(disk.name),
    nodeName: node.nodeName,
    keys: keysAround(disk),
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
    ...compareMark(disk, volume, about),
    ...compareSize(disk, volume, about),
    ...compareBacking(node, disk, volume, volumes, about),
  ];
}

type About = Pick<Finding, "resource" | "nodeName" | "keys">;

function compareMark(disk: BlockStorage, { listed, mark }: SurveyedVolume, about: About) {
  const owner = ownerOf(disk.name);
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
    ...(isLost ? { repair: markVolume(disk) } : {}),
  };
  return [finding];
}

function compareSize(disk: BlockStorage, { listed }: SurveyedVolume, about: About): Finding[] {
  const bytes = ((disk.limitBytes + SECTOR_BYTES - 1n) / SECTOR_BYTES) * SECTOR_BYTES;
  const there = listed?.virtualSizeBytes ?? 0n;
  if (there === bytes) return [];
  return [
    {
      code: "disk.size_differs",
      expected: `${bytes} bytes`,
      found: `${there} bytes`,
      ...about,
      repair: settleSize(disk, there),
    },
  ];
}

function compareBacking(
  { survey }: NodeView,
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
      ...(isKnown ? { repair: takeBacking(disk, backing, base?.listed?.owner ?? "") } : {}),
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

/** Follows the chain as the files tell it; one that goes in circles ends with the number of files. */
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

interface Copy {
  readonly parts: readonly string[];
  readonly volumeId: string;
}

function compareCopy(
  { nodeName, view }: NodeView,
  { parts, volumeId }: Copy,
  volumes: ReadonlyMap<string, SurveyedVolume>,
  disks: readonly BlockStorage[],
): Finding[] {
  const baseName = parts[0] ?? "";
  const base = view.records.find(blockStorages, baseName)?.value;
  // A copy of nothing is compared with the records.
  if (base === undefined || volumes.get(volumeId)?.hasFile === true) return [];
  const isUsed = disks.some(({ baseVolumeId }) => baseVolumeId === volumeId);
  return [
    {
      code: "replica.without_volume",
      resource: ownerOf(baseName),
      nodeName,
      expected: `the file of its copy "${volumeId}"`,
      found: "no file",
      keys: [blockStorages.key(baseName), replicas.key(baseName, nodeName), ...keysAround(base)],
      ...(isUsed ? {} : { repair: forgetReplica(baseName, nodeName, volumeId) }),
    },
  ];
}

/** What no record knows. What does not say that it is ours is nobody's business. */
function strangers(
  { nodeName, view }: NodeView,
  volume: SurveyedVolume,
  disks: readonly BlockStorage[],
): Finding[] {
  const { listed, mark, hasFile, isDamaged, partialCount } = volume;
  const id = idOf(volume);
  const name = parseRefOf("block_storage", listed?.owner)?.name ?? VOLUME_ID.exec(id)?.[1];
  const isOurs = mark === PartState.WHOLE || (partialCount > 0 && VOLUME_ID.test(id));
  if (name === undefined || !isOurs) return [];
  const about = {
    resource: ownerOf(name),
    nodeName,
    keys: [blockStorages.key(name), replicas.key(name, nodeName)],
    madeBy: listed?.transactionId ?? "",
  };
  if (!hasFile || mark !== PartState.WHOLE) {
    if (hasFile) return [];
    const found = `${partialCount > 0 ? "a half-made file" : "a sidecar alone"} of volume "${id}"`;
    const repair = removePartial(nodeName, id, name);
    return [{ code: "volume.left_over", expected: "nothing", found, ...about, repair }];
  }
  const users = disks.filter(({ baseVolumeId }) => baseVolumeId === id);
  const expected = "a record";
  const found = `volume "${id}" of ${listed?.virtualSizeBytes} bytes`;
  if (users.length > 0) {
    const known = view.records.find(replicas, name, nodeName);
    const repair = known === undefined ? { repair: recordReplica(name, nodeName, id) } : {};
    return [{ code: "replica.missing", expected, found, ...about, ...repair }];
  }
  const adopted = freeName(view, name, id);
  const repair = isDamaged ? {} : { repair: adopt(adopted, nodeName, volume) };
  const keys = [...about.keys, blockStorages.key(adopted)];
  return [{ code: "volume.without_record", expected, found, ...about, keys, ...repair }];
}

/** Its own name, or where another disk has that, one that says where it comes from. */
function freeName({ records }: View, name: string, id: string): string {
  if (records.find(blockStorages, name) === undefined) return name;
  return `${name.slice(0, NAME_LENGTH_MAX - 13)}-${id.slice(-12)}`;
}
