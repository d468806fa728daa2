import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { ifThereSync } from "../../../../util/errno.ts";

/** dnsmasq reads them with the rights of its own user. */
const FOLDER_MODE = 0o755;
const FILE_MODE = 0o644;

/** The files of the services of one network. */
export interface ServiceFiles {
  readonly folder: string;
  readonly config: string;
  readonly servers: string;
  /** One file for each guest, which DHCP reads. */
  readonly hosts: string;
  /** One file for each guest, which DNS reads. */
  readonly names: string;
  /** All guests on other nodes, which DNS reads. */
  readonly elsewhere: string;
  readonly leases: string;
  readonly pid: string;
}

export function filesOf(servicesFolder: string, networkName: string): ServiceFiles {
  const folder = join(servicesFolder, networkName);
  return {
    folder,
    config: join(folder, "dnsmasq.conf"),
    servers: join(folder, "servers"),
    hosts: join(folder, "hosts"),
    names: join(folder, "names"),
    elsewhere: join(folder, "elsewhere"),
    leases: join(folder, "leases"),
    pid: join(folder, "pid"),
  };
}

export function makeFolders({ folder, hosts, names }: ServiceFiles): void {
  for (const one of [folder, hosts, names]) {
    mkdirSync(one, { recursive: true });
    chmodSync(one, FOLDER_MODE);
  }
}

/** The names of the networks that have a folder. */
export function foldersIn(servicesFolder: string): string[] {
  const found = ifThereSync(() => readdirSync(servicesFolder, { withFileTypes: true })) ?? [];
  return found.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

/** Empty for a file that does not exist. */
export function readText(path: string): string {
  return ifThereSync(() => readFileSync(path, "utf8")) ?? "";
}

export function namesIn(folder: string): string[] {
  return ifThereSync(() => readdirSync(folder)) ?? [];
}

/**
 * Replaces the file, whole or not at all; with no text removes it. dnsmasq watches the folders of hosts and
 * names, so the new file comes from outside of them.
 *
 * @returns whether it was different.
 */
export function replaceFile({ folder }: ServiceFiles, path: string, text: string): boolean {
  if (readText(path) === text) return false;
  if (text === "") {
    rmSync(path, { force: true });
    return true;
  }
  const beside = join(folder, "new");
  writeFileSync(beside, text);
  chmodSync(beside, FILE_MODE);
  renameSync(beside, path);
  return true;
}
