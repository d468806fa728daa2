import { join } from "node:path";
import type { Accelerator } from "../driver/compute/domain.ts";
import { openLibvirtComputeDriver } from "../driver/compute/libvirt/libvirt-compute-driver.ts";
import { newNetnsNetworkDriver } from "../driver/network/netns/netns-network-driver.ts";
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
  /** Holds all files of the node's: `vm/<name>/` and `volumes/`. At most 28 bytes. */
  readonly baseDirectory: string;
  /** Such as `qemu:///system`. */
  readonly libvirtUri: string;
  readonly accelerator: "auto" | Accelerator;
  /** Begins the names of what is made on the node, so that two instances never meet. Such as `n0-`. */
  readonly resourcePrefix: string;
  /** Where `file:` images may be read from. */
  readonly allowedFileFolders: readonly string[];
  /** CIDRs that `http(s):` images may come from although they are the node's own, or special. Default: none. */
  readonly allowedSources?: readonly string[];
  /** Through which those images are fetched. Default: none. */
  readonly webProxies?: WebProxies;
  /** IPv4 addresses that guests may ask at port 53, whatever network they are in. Default: none. */
  readonly nameservers?: readonly string[];
  /** IPv4 CIDRs in the node's own networks that guests may reach. Default: none. */
  readonly guestDestinations?: readonly string[];
  /** No volume may be larger. */
  readonly virtualSizeBytesMax: bigint;
  /** What is kept free of the base directory's file system. Default: see `newFreeSpace`. */
  readonly freeBytesMin?: bigint | undefined;
  /** How many images from outside are read at once. Default: the driver's. */
  readonly imagesAtOnceMax?: number;
}

export interface NodeDrivers extends Drivers, AsyncDisposable {
  readonly readFacts: ReadNodeFacts;
}

/**
 * Opens what touches this node. Libvirt need not answer yet. One process at a time may have a base
 * directory open.
 *
 * @throws N0Error `invalid_argument` for a base directory or prefix that cannot be used.
 */
export async function openDrivers(config: DriversConfig, log: Log): Promise<NodeDrivers> {
  const {
    baseDirectory,
    resourcePrefix: prefix,
    nameservers = [],
    guestDestinations = [],
  } = config;
  const volumeFolder = join(baseDirectory, "volumes");
  const network = newNetnsNetworkDriver({ prefix, nameservers, guestDestinations });
  const volume = await openVolumeDriver(config);
  // Last, for it alone has to be closed: nothing after it can fail.
  const compute = await openLibvirtComputeDriver({
    baseDirectory,
    uri: config.libvirtUri,
    prefix,
    accelerator: config.accelerator,
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

/** The node's disks, of the folder `volumes` of the base directory. */
export function openVolumeDriver(config: DriversConfig): Promise<VolumeDriver> {
  const volumeFolder = join(config.baseDirectory, "volumes");
  return openQcow2VolumeDriver({
    directory: volumeFolder,
    allowedFileFolders: config.allowedFileFolders,
    ...defined({ allowedSources: config.allowedSources, webProxies: config.webProxies }),
    virtualSizeBytesMax: config.virtualSizeBytesMax,
    ...defined({ imagesAtOnceMax: config.imagesAtOnceMax }),
    freeSpace: newFreeSpace({
      folder: volumeFolder,
      freeBytesMin: config.freeBytesMin,
      clock: systemClock,
    }),
  });
}
