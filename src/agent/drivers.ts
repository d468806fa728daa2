import { join } from "node:path";
import type { Accelerator } from "../driver/compute/domain.ts";
import { openLibvirtComputeDriver } from "../driver/compute/libvirt/libvirt-compute-driver.ts";
import { newNetnsNetworkDriver } from "../driver/network/netns/netns-network-driver.ts";
import { prepareServices } from "../driver/network/netns/services/requirements.ts";
import type { ReadNodeFacts } from "../driver/node-facts/node-facts.ts";
import { newNodeFacts } from "../driver/node-facts/node-facts.ts";
import { newIsoSeedDriver } from "../driver/seed/iso-seed-driver.ts";
import { newFreeSpace } from "../driver/volume/free-space.ts";
import { openQcow2VolumeDriver } from "../driver/volume/qcow2/qcow2-volume-driver.ts";
import type { VolumeDriver } from "../driver/volume/volume-driver.ts";
import { systemClock } from "../util/clock.ts";
import { defined } from "../util/defined.ts";
import type { Log } from "../util/log.ts";
import type { WebProxies } from "../util/web-proxies.ts";
import type { Drivers } from "./agent-deps.ts";

export interface DriversConfig {
  /** Holds all files of the node: `vm/<name>/`, `volumes/` and `services/<network>/`. At most 28 bytes. */
  readonly baseDirectory: string;
  /** Such as `qemu:///system`. */
  readonly libvirtUri: string;
  readonly accelerator: "auto" | Accelerator;
  /** The prefix of all names on the node, such as `n0-`, so that two instances never collide. */
  readonly resourcePrefix: string;
  /** The folders that `file:` images may be read from. */
  readonly allowedFileFolders: readonly string[];
  /**
   * CIDRs that `http(s):` images may come from although they are addresses of the node or special. Default:
   * none.
   */
  readonly allowedSources?: readonly string[];
  /** The proxies through which those images are fetched. Default: none. */
  readonly webProxies?: WebProxies;
  /** Addresses that the guests of any network may ask at port 53. Default: none. */
  readonly nameservers?: readonly string[];
  /** CIDRs in the networks of the node that guests may reach. Default: none. */
  readonly guestDestinations?: readonly string[];
  /** Whether the IPv6 packets of guests leave the node, if it can forward them. Default: true. */
  readonly forwardsIpv6?: boolean;
  /** The device of the node whose VLANs networks join. Default: none. */
  readonly vlanDevice?: string | undefined;
  /** The largest size of a volume. */
  readonly virtualSizeBytesMax: bigint;
  /** The space to keep free on the file system of the base directory. Default: see `newFreeSpace`. */
  readonly freeBytesMin?: bigint | undefined;
  /** How many images from outside are read at the same time. Default: that of the driver. */
  readonly imagesAtOnceMax?: number;
}

export interface NodeDrivers extends Drivers, AsyncDisposable {
  readonly readFacts: ReadNodeFacts;
}

/**
 * Opens the drivers of this node. libvirt need not answer yet. Only one process at a time may have a base
 * directory open.
 *
 * @throws N0Error `invalid_argument` if the base directory or the prefix cannot be used.
 */
export async function openDrivers(config: DriversConfig, log: Log): Promise<NodeDrivers> {
  const {
    baseDirectory,
    resourcePrefix: prefix,
    nameservers = [],
    guestDestinations = [],
    forwardsIpv6 = true,
  } = config;
  const volumeFolder = join(baseDirectory, "volumes");
  prepareServices(log);
  const network = newNetnsNetworkDriver({
    prefix,
    nameservers,
    guestDestinations,
    forwardsIpv6,
    vlanDevice: config.vlanDevice,
    servicesFolder: join(baseDirectory, "services"),
  });
  let qemuGroup: number | undefined;
  const volume = await openVolumeDriver(config, () => qemuGroup);
  // Last, because only this one must be closed: no later step can fail.
  const compute = await openLibvirtComputeDriver({
    baseDirectory,
    uri: config.libvirtUri,
    prefix,
    accelerator: config.accelerator,
    onQemuGroup: (gid) => {
      qemuGroup = gid;
    },
    log: {
      info: (fields, message) => log.info(message, { ...fields }),
      warn: (fields, message) => log.warn(message, { ...fields }),
    },
  });
  return {
    compute,
    volume,
    network,
    seed: newIsoSeedDriver(),
    readFacts: newNodeFacts({ volumeFolder }),
    [Symbol.asyncDispose]: () => compute[Symbol.asyncDispose](),
  };
}

/**
 * The volumes of the node, in the folder `volumes` of the base directory.
 *
 * @param qemuGroup The group of QEMU, if it is known.
 */
export function openVolumeDriver(
  config: DriversConfig,
  qemuGroup: () => number | undefined = () => undefined,
): Promise<VolumeDriver> {
  const volumeFolder = join(config.baseDirectory, "volumes");
  return openQcow2VolumeDriver({
    directory: volumeFolder,
    allowedFileFolders: config.allowedFileFolders,
    ...defined({ allowedSources: config.allowedSources, webProxies: config.webProxies }),
    virtualSizeBytesMax: config.virtualSizeBytesMax,
    qemuGroup,
    ...defined({ imagesAtOnceMax: config.imagesAtOnceMax }),
    freeSpace: newFreeSpace({
      folder: volumeFolder,
      freeBytesMin: config.freeBytesMin,
      clock: systemClock,
    }),
  });
}
