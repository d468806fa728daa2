import type { Mark } from "../mark.ts";

/**
 * The observed power state of a domain. `absent`: the hypervisor has no domain of ours with that name.
 * `out_of_space`: QEMU paused it, since the disk of the node had no room for what the guest wrote.
 */
export type DomainState = "absent" | "running" | "paused" | "out_of_space" | "shut_off" | "crashed";

export interface DiskSpec {
  /** Absolute path on this node. */
  readonly path: string;
  readonly format: "qcow2" | "raw";
  /**
   * The files that a qcow2 rests on, the nearest first; none if not given. We do not use the header of the
   * qcow2 for this, since QEMU's user can write there.
   */
  readonly backing?: readonly string[];
  /** A CD-ROM is read-only. */
  readonly device: "disk" | "cdrom";
}

export interface NicSpec {
  /** The tap. It must exist before the domain starts. */
  readonly tapName: string;
  readonly hardwareAddress: string;
  /** Its slot on the first PCI bus, so that its guest finds it in the same place. If not given, a free one. */
  readonly pciSlot?: number;
  /** The largest packet of the guest. Undefined: that of Ethernet. */
  readonly mtu?: number;
}

export interface DomainSpec {
  /** The name of the virtual machine on the node, from `nameOnNode` in util/ref.ts. Unique there. */
  readonly name: string;
  readonly uuid: string;
  readonly vcpus: number;
  /** Guaranteed share of the processor on a busy node: 1000 is one core. */
  readonly cpuMilliCores: number;
  /** Bytes, rounded up to a whole KiB. */
  readonly memoryBytes: bigint;
  /** The order of the list is the boot order. */
  readonly disks: readonly DiskSpec[];
  readonly nics: readonly NicSpec[];
}

export interface DomainInfo {
  readonly name: string;
  readonly uuid: string;
  readonly mark: Mark;
  readonly state: DomainState;
  readonly vcpus: number;
  readonly memoryBytes: bigint;
  readonly diskPaths: readonly string[];
  readonly nics: readonly NicSpec[];
}

export interface DomainEvent {
  readonly name: string;
  readonly state: DomainState;
}

export type Accelerator = "kvm" | "tcg";
