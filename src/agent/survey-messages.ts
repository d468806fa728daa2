import type { MessageInitShape } from "@bufbuild/protobuf";
import type { DomainInfo } from "../driver/compute/domain.ts";
import type { FolderInfo } from "../driver/compute/domain-folders.ts";
import { folderName } from "../driver/compute/libvirt/domain-paths.ts";
import type {
  ExternalSurvey,
  NetworkSurvey,
  PartState,
  SegmentSurvey,
  TapSurvey,
} from "../driver/network/network-survey.ts";
import type { PortLimits } from "../driver/network/port-limits.ts";
import type { VolumeDriver, VolumeSurvey } from "../driver/volume/volume-driver.ts";
import {
  type SurveyedDomainSchema,
  type SurveyedFolderSchema,
  type SurveyedNetworkSchema,
  type SurveyedSegmentSchema,
  type SurveyedTapSchema,
  type SurveyedVolumeSchema,
  PartState as WirePart,
} from "../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import { defined } from "../util/defined.ts";
import { domainToWire, volumeIdOf } from "./domain-messages.ts";

const PART_TO_WIRE: Readonly<Record<PartState, WirePart>> = {
  whole: WirePart.WHOLE,
  absent: WirePart.ABSENT,
  altered: WirePart.ALTERED,
};

export function partToWire(state: PartState): WirePart {
  return PART_TO_WIRE[state];
}

export function domainToSurvey(
  volume: VolumeDriver,
  info: DomainInfo,
): MessageInitShape<typeof SurveyedDomainSchema> {
  const isOther = (path: string) =>
    volumeIdOf(volume, path) === undefined &&
    !path.endsWith(`/vm/${folderName(info.name)}/seed.iso`);
  return {
    listed: domainToWire(volume, info),
    otherDiskPaths: info.diskPaths.filter(isOther),
  };
}

export function folderToSurvey({
  name,
  mark,
}: FolderInfo): MessageInitShape<typeof SurveyedFolderSchema> {
  return { name, ...mark };
}

export function volumeToSurvey(found: VolumeSurvey): MessageInitShape<typeof SurveyedVolumeSchema> {
  const { id, path, virtualSizeBytes, actualSizeBytes, baseId = "", mark } = found;
  return {
    listed: { id, path, virtualSizeBytes, actualSizeBytes, baseId, ...mark },
    hasFile: found.hasFile,
    mark: partToWire(found.sidecar),
    isDamaged: found.isDamaged,
    backing: found.backing ?? "",
    partialCount: found.partialCount,
  };
}

export function tapToSurvey({
  name,
  mark,
  networkName = "",
  isConnected,
  mtu,
  filter: { state, identity },
  limits,
  groups: { state: groupsState, ...groups },
  entry: { state: entryState, entry },
}: TapSurvey): MessageInitShape<typeof SurveyedTapSchema> {
  const listed = { name, networkName, ...mark };
  const found = {
    listed,
    isConnected,
    mtu,
    filter: partToWire(state),
    limitsState: partToWire(limits.state),
    ...(limits.limits === undefined ? {} : { limits: limitsToWire(limits.limits) }),
    groups: { state: partToWire(groupsState), groups: [...groups.groups], rules: groups.rules },
    entryState: partToWire(entryState),
    ...defined({ entry }),
  };
  if (identity === undefined) return found;
  const { hardwareAddress, addresses } = identity;
  return { ...found, identity: { hardwareAddress, addresses: [...addresses] } };
}

function segmentToSurvey({
  device,
  peers,
  sharedAddresses,
  strays,
  ...rest
}: SegmentSurvey): MessageInitShape<typeof SurveyedSegmentSchema> {
  const seen = peers.map((peer) => ({ ...peer, addresses: [...peer.addresses] }));
  const lists = { peers: seen, sharedAddresses: [...sharedAddresses], strays: [...strays] };
  return { ...rest, device: partToWire(device), ...lists };
}

function externalToSurvey({ device, state, vlanId = 0 }: ExternalSurvey) {
  return { device, state: partToWire(state), vlanId };
}

function limitsToWire({ ingress, egress }: PortLimits) {
  return {
    ingressBitsPerSecond: BigInt(ingress?.bytesPerSecond ?? 0) * 8n,
    ingressBurstBytes: BigInt(ingress?.burstBytes ?? 0),
    egressBitsPerSecond: BigInt(egress?.bytesPerSecond ?? 0) * 8n,
    egressBurstBytes: BigInt(egress?.burstBytes ?? 0),
  };
}

export function networkToSurvey(
  network: NetworkSurvey,
): MessageInitShape<typeof SurveyedNetworkSchema> {
  const { name, mark, tapNames, gateways, groups, served } = network;
  return {
    listed: { name, tapNames: [...tapNames], gateways: [...gateways], ...mark },
    namespace: partToWire(network.namespace),
    bridge: partToWire(network.bridge),
    mtu: network.mtu,
    uplink: partToWire(network.uplink),
    rules: partToWire(network.rules),
    strayFilters: [...network.strayFilters],
    segment: segmentToSurvey(network.segment),
    natOff: network.isNatOff,
    ...(network.external === undefined ? {} : { external: externalToSurvey(network.external) }),
    groups: {
      state: partToWire(groups.state),
      generation: groups.generation ?? 0n,
      members: groups.members,
    },
    services: partToWire(network.services),
    metadata: partToWire(network.metadata),
    namesElsewhere: network.namesElsewhere ?? "",
    ...(served === undefined
      ? {}
      : { served: { ...served, nameservers: [...served.nameservers] } }),
    strayEntries: [...network.strayEntries],
  };
}
