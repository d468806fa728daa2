import { join } from "node:path";
import { type Domain, readDomains, readProcesses } from "./domains.ts";
import {
  type Device,
  type Namespace,
  readDevices,
  readMounts,
  readNamespaces,
  readServices,
  readTables,
} from "./network.ts";
import { type FolderFiles, readDomainFolders, readVolumes, type VolumeFile } from "./volumes.ts";

/** One agent's share of this host. */
export interface Place {
  readonly prefix: string;
  readonly baseDirectory: string;
  readonly libvirtUri?: string;
  /** The name of its node. If missing, all nodes of the API are this host. */
  readonly nodeName?: string;
}

/** The state of the host, read with the tools of the system. */
export interface Host {
  readonly domains: Readonly<Record<string, Domain>>;
  readonly volumes: Readonly<Record<string, VolumeFile>>;
  readonly domain_folders: Readonly<Record<string, FolderFiles>>;
  readonly namespaces: Readonly<Record<string, Namespace>>;
  readonly devices: Readonly<Record<string, Device>>;
  readonly tables: Readonly<Record<string, readonly string[]>>;
  /** The files of DHCP and DNS of each network, below its folder. */
  readonly services: Readonly<Record<string, readonly string[]>>;
  readonly processes: readonly string[];
  readonly mounts: readonly string[];
}

export async function readHost(place: Place): Promise<Host> {
  const { prefix, baseDirectory, libvirtUri = "qemu:///system" } = place;
  const [
    domains,
    volumes,
    domainFolders,
    namespaces,
    devices,
    tables,
    services,
    processes,
    mounts,
  ] = await Promise.all([
    readDomains(libvirtUri, prefix),
    readVolumes(join(baseDirectory, "volumes")),
    readDomainFolders(join(baseDirectory, "vm")),
    readNamespaces(prefix),
    readDevices(prefix),
    readTables(prefix),
    readServices(join(baseDirectory, "services")),
    readProcesses(prefix, baseDirectory),
    readMounts([`/run/netns/${prefix}`, `${baseDirectory}/`]),
  ]);
  return {
    domains,
    volumes,
    domain_folders: domainFolders,
    namespaces,
    devices,
    tables,
    services,
    processes,
    mounts,
  };
}
