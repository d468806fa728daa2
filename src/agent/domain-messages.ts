import { basename } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { DomainInfo, DomainSpec, DomainState, NicSpec } from "../driver/compute/domain.ts";
import type { Mark } from "../driver/mark.ts";
import type { ExpectedSeed, Seed, SeedNic } from "../driver/seed/seed-driver.ts";
import type { VolumeDriver } from "../driver/volume/volume-driver.ts";
import type {
  Domain,
  DomainNic,
  EnsureSeedRequest,
  ListedDomainSchema,
  SeedNic as SeedNicMessage,
} from "../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import { DomainState as WireState } from "../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import { defined, nonEmpty } from "../util/defined.ts";
import { VOLUME_ID } from "../util/ref.ts";
import type { Drivers } from "./agent-deps.ts";

const STATE_TO_WIRE: Readonly<Record<DomainState, WireState>> = {
  absent: WireState.ABSENT,
  running: WireState.RUNNING,
  paused: WireState.PAUSED,
  out_of_space: WireState.OUT_OF_SPACE,
  shut_off: WireState.SHUT_OFF,
  crashed: WireState.CRASHED,
};

export function stateToWire(state: DomainState): WireState {
  return STATE_TO_WIRE[state];
}

/** The volumes as disks, in order, then the seed as a CD-ROM if the domain has one. */
export async function domainSpec(
  drivers: Drivers,
  domain: Domain,
  mark: Mark,
  signal: AbortSignal,
): Promise<DomainSpec> {
  const { compute, volume, seed } = drivers;
  const { name, uuid, vcpus, cpuMilliCores, memoryBytes } = domain;
  const seedPath = await seed.find(await compute.ensureFolder(name, mark));
  const disks = await Promise.all(
    domain.volumeIds.map(async (id) => ({
      path: volume.path(id),
      format: "qcow2" as const,
      backing: await volume.backing(id, signal),
      device: "disk" as const,
    })),
  );
  const cdroms =
    seedPath === undefined
      ? []
      : [{ path: seedPath, format: "raw" as const, device: "cdrom" as const }];
  const nics = domain.nics.map(nicSpec);
  return { name, uuid, vcpus, cpuMilliCores, memoryBytes, disks: [...disks, ...cdroms], nics };
}

export function nicSpec({ tapName, hardwareAddress, pciSlot, mtu }: DomainNic): NicSpec {
  const place = pciSlot === 0 ? {} : { pciSlot };
  return { tapName, hardwareAddress, ...place, ...(mtu === 0 ? {} : { mtu }) };
}

/** The domain as the node knows it. Its share of the processor is missing: only the API remembers that. */
export function domainToWire(
  volume: VolumeDriver,
  info: DomainInfo,
): MessageInitShape<typeof ListedDomainSchema> {
  const { name, uuid, vcpus, memoryBytes, nics } = info;
  const volumeIds = info.diskPaths
    .map((path) => volumeIdOf(volume, path))
    .filter((id) => id !== undefined);
  return {
    domain: { name, uuid, vcpus, memoryBytes, volumeIds, nics: nics.map((nic) => ({ ...nic })) },
    state: stateToWire(info.state),
    owner: info.mark.owner,
    transactionId: info.mark.transactionId,
  };
}

/** Undefined for a seed, and for a file outside of the volume folder. */
export function volumeIdOf(volume: VolumeDriver, path: string): string | undefined {
  const file = basename(path);
  const stem = file.replace(/\.[^.]*$/, "");
  return [stem, file].find((id) => VOLUME_ID.test(id) && volume.path(id) === path);
}

export function seedFromWire(request: EnsureSeedRequest): Seed {
  return { ...settingsFromWire(request), ...defined({ userData: nonEmpty(request.userData) }) };
}

export function expectedSeedFromWire(request: EnsureSeedRequest): ExpectedSeed {
  const userDataSha256 = nonEmpty(request.userDataSha256);
  return { ...settingsFromWire(request), ...defined({ userDataSha256 }) };
}

function settingsFromWire(request: EnsureSeedRequest): Omit<Seed, "userData"> {
  const { instanceId, hostname, loginUsername, sshAuthorizedKeys } = request;
  return {
    instanceId,
    hostname,
    ...defined({ loginUsername: nonEmpty(loginUsername) }),
    sshAuthorizedKeys,
    nics: request.nics.map(seedNicFromWire),
  };
}

function seedNicFromWire(nic: SeedNicMessage): SeedNic {
  const { hardwareAddress, nameservers, searchDomains } = nic;
  const { ipv4Address, ipv6Address, ipv4Gateway, ipv6Gateway } = nic;
  return {
    hardwareAddress,
    ...defined({
      ipv4Address: nonEmpty(ipv4Address),
      ipv6Address: nonEmpty(ipv6Address),
      ipv4Gateway: nonEmpty(ipv4Gateway),
      ipv6Gateway: nonEmpty(ipv6Gateway),
    }),
    ...(nic.secondaryAddresses.length === 0 ? {} : { secondaryAddresses: nic.secondaryAddresses }),
    nameservers,
    searchDomains,
    ...(nic.mtu === 0 ? {} : { mtu: nic.mtu }),
  };
}
