import type { Mark } from "../mark.ts";

/**
 * Observed power state of a domain. `absent`: the hypervisor has no domain of that name that is ours.
 * `out_of_space`: paused by QEMU, since the node's disk had no room for what the guest wrote.
 */
export type DomainState = "absent" | "running" | "paused" | "out_of_space" | "shut_off" | "crashed";

export interface DiskSpec {
  /** Absolute path on this node. */
  readonly path: string;
  readonly format: "qcow2" | "raw";
  /**
   * The files that a qcow2 rests on, the next first; none if not given. What its own header says is not
   * asked: QEMU's user can write there.
   */
  readonly backing?: readonly string[];
  /** A cdrom is read-only. */
  readonly device: "disk" | "cdrom";
}

export interface NicSpec {
  /** The tap, which exists before the domain starts. */
  readonly tapName: string;
  readonly hardwareAddress: string;
}

export interface DomainSpec {
  /** The virtual machine's name on the node, `nameOnNode` in util/ref.ts. Unique there. */
  readonly name: string;
  readonly uuid: string;
  readonly vcpus: number;
  /** Guaranteed share of the processor when the node is busy: 1000 is one core. */
  readonly cpuMilliCores: number;
  /** Bytes; rounded up to a whole KiB. */
  readonly memoryBytes: bigint;
  /** Boot order is list order. */
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
