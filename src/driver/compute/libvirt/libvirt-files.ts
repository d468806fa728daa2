import { existsSync, rmSync } from "node:fs";
import { checkName } from "./domain-paths.ts";

/** Files that libvirt of this node keeps about a domain; absent where it is elsewhere. */
export interface LibvirtFiles {
  /** The number of its QEMU process. */
  readonly pidFile: string;
  /** What QEMU says to libvirt. virtlogd rotates it to `….log.0` (newest) and up. */
  readonly log: string;
}

/** @throws N0Error `invalid_argument` for a name that is none. */
export function libvirtFiles(prefix: string, name: string): LibvirtFiles {
  checkName(name);
  const libvirtName = `${prefix}${name}`;
  return {
    pidFile: `/run/libvirt/qemu/${libvirtName}.pid`,
    log: `/var/log/libvirt/qemu/${libvirtName}.log`,
  };
}

/** libvirt leaves the log of a domain for ever. */
export function removeLog({ log }: LibvirtFiles): void {
  try {
    for (let n = 0; existsSync(`${log}.${n}`); n++) rmSync(`${log}.${n}`);
    rmSync(log, { force: true });
  } catch {
    // A virtual machine is not kept for the sake of its log.
  }
}
