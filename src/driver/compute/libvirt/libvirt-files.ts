import { existsSync, rmSync } from "node:fs";
import { checkName } from "./domain-paths.ts";

/** Files about a domain that the libvirt of this node keeps. They do not exist if it keeps them elsewhere. */
export interface LibvirtFiles {
  /** Holds the number of its QEMU process. */
  readonly pidFile: string;
  /** The output of QEMU. virtlogd rotates it to `….log.0` (newest) and up. */
  readonly log: string;
}

/** @throws N0Error `invalid_argument` if the name is not valid. */
export function libvirtFiles(prefix: string, name: string): LibvirtFiles {
  checkName(name);
  const libvirtName = `${prefix}${name}`;
  return {
    pidFile: `/run/libvirt/qemu/${libvirtName}.pid`,
    log: `/var/log/libvirt/qemu/${libvirtName}.log`,
  };
}

/** libvirt never removes the log of a domain. */
export function removeLog({ log }: LibvirtFiles): void {
  try {
    for (let n = 0; existsSync(`${log}.${n}`); n++) rmSync(`${log}.${n}`);
    rmSync(log, { force: true });
  } catch {
    // A failure to remove the log must not keep the virtual machine.
  }
}
