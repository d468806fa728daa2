import type { Duplex } from "node:stream";
import type { Maker, Mark } from "../mark.ts";

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

/** The folder of a virtual machine. */
export interface FolderInfo {
  /** The virtual machine's name. */
  readonly name: string;
  readonly mark: Mark;
  readonly path: string;
}

export interface DomainEvent {
  readonly name: string;
  readonly state: DomainState;
}

export type Accelerator = "kvm" | "tcg";

/**
 * Runs virtual machines on this node. Knows nothing of requests, locks or records.
 *
 * Every `ensure…` can be repeated. Names are the virtual machine's; how a domain, its folder and its
 * sockets are called on the node is the driver's own affair. Implementations pass
 * `compute-driver.suite.ts`.
 */
export interface ComputeDriver extends AsyncDisposable {
  readonly accelerator: Accelerator;

  /**
   * For a machine that is being made: nothing of ours is on the node under its name but what `mark`'s
   * transaction has made. What other transactions left is not touched.
   *
   * @throws N0Error `failed_precondition` if a domain or a folder of another transaction is there, or a
   *   domain that is not ours; `unavailable`.
   */
  requireNew(name: string, mark: Mark, signal: AbortSignal): Promise<void>;

  /**
   * Defines the domain as `spec` says, replacing an older definition of ours, and starts it with its
   * processors stopped, so that its taps can be moved before the guest sends a packet. A domain of
   * ours that is active already is left as it is. A definition that is replaced for the same owner keeps
   * the mark of the transaction that made the domain.
   *
   * @throws N0Error `failed_precondition` if a domain that is not ours has the name or the uuid, or a
   *   disk or tap is missing, in use or damaged; `resource_exhausted` if the node cannot hold it;
   *   `unavailable` if the hypervisor does not answer, or QEMU was ended while it started. The message
   *   has QEMU's or the hypervisor's last words, without the node's paths.
   */
  ensureStarted(spec: DomainSpec, mark: Mark, signal: AbortSignal): Promise<void>;

  /** Redefines a domain that is shut off; the change is seen when it starts next. */
  ensureDefined(spec: DomainSpec, mark: Mark, signal: AbortSignal): Promise<void>;

  /** Lets the processors run. Success if they do. @throws N0Error `failed_precondition` if it is not active. */
  ensureResumed(name: string, signal: AbortSignal): Promise<void>;

  /** Stops the processors; memory is kept. @throws N0Error `failed_precondition` if it is not active. */
  ensurePaused(name: string, signal: AbortSignal): Promise<void>;

  /**
   * Presses the power button. Does not wait. A guest that does not listen yet, such as one that boots, never
   * hears of it.
   *
   * @throws N0Error `failed_precondition` if it is not active, or is paused.
   */
  requestShutdown(name: string, signal: AbortSignal): Promise<void>;

  /**
   * Presses the reset button (`hard`), or has the power button mean a reboot and presses that. One that is
   * paused stays so after a reset.
   *
   * @throws N0Error `failed_precondition` if it is not active or, unless `hard`, is paused.
   */
  reboot(name: string, hard: boolean, signal: AbortSignal): Promise<void>;

  /** Takes the power away; the definition stays. An absent or shut off domain is success. */
  ensureOff(name: string, signal: AbortSignal): Promise<void>;

  /**
   * Stops and undefines the domain, and removes its folder. Success, and nothing touched, if there is
   * none of `maker`'s. A folder that tells of no maker goes as well: whoever made it died in the middle.
   */
  ensureAbsent(name: string, maker: Maker, signal: AbortSignal): Promise<void>;

  state(name: string, signal: AbortSignal): Promise<DomainState>;

  /** All domains that bear our mark. */
  list(signal: AbortSignal): Promise<readonly DomainInfo[]>;

  /** Tells an active domain that the disk at `path` has grown to `sizeBytes`, growing it on the way. */
  growDisk(name: string, path: string, sizeBytes: bigint, signal: AbortSignal): Promise<void>;

  /**
   * Takes back what `growDisk` did to an active domain: the disk at `path` becomes `fromBytes` large again
   * where it is `toBytes` large, and stays as it is where it has another size. What the guest wrote beyond
   * is lost: the caller has looked.
   */
  undoGrowDisk(
    name: string,
    path: string,
    growth: { readonly fromBytes: bigint; readonly toBytes: bigint },
    signal: AbortSignal,
  ): Promise<void>;

  /** Calls `listener` at each change of state of a domain of ours, until the returned function is called. */
  onEvent(listener: (event: DomainEvent) => void): () => void;

  /** A connection to the guest's screen, speaking RFB. @throws N0Error `failed_precondition` if not active. */
  openVnc(name: string): Promise<Duplex>;

  /** A connection to the guest's serial console. @throws N0Error `failed_precondition` if not active. */
  openSerial(name: string): Promise<Duplex>;

  /**
   * What the guest has printed on its serial console, oldest first, and with `follow` what it prints
   * until `signal` aborts. Kept across reboots; removed with the domain.
   */
  readSerialLog(name: string, follow: boolean, signal: AbortSignal): AsyncIterable<Uint8Array>;

  /**
   * The folder of the virtual machine, made if need be: for its seed. It keeps the mark that it was made
   * with. Removed by `ensureAbsent`.
   */
  ensureFolder(name: string, mark: Mark): Promise<string>;

  /** The folders that tell who made them. */
  listFolders(signal: AbortSignal): Promise<readonly FolderInfo[]>;
}
