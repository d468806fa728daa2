import type { ComputeDriver } from "../compute-driver.ts";
import type { DomainInfo, DomainState } from "../domain.ts";

/** The methods with a signal, which can be made to fail or hang. */
export type FakeComputeMethod =
  | "requireNew"
  | "ensureStarted"
  | "ensureDefined"
  | "ensureResumed"
  | "ensurePaused"
  | "requestShutdown"
  | "reboot"
  | "ensureOff"
  | "ensureAbsent"
  | "state"
  | "list"
  | "listFolders"
  | "growDisk"
  | "undoGrowDisk"
  | "ensureNic"
  | "ensureNicAbsent";

export interface FakeFault {
  /** `after`: the method does its work, and its answer is lost. */
  readonly when: "before" | "after";
  /** `hang`: the method waits for its signal. */
  readonly what: Error | "hang";
}

export type FakeComputeDriver = ComputeDriver & FakeHands;

/** Things that happen on the node without the driver, and views of its state. */
export interface FakeHands {
  /** The fault of each call of that method, until it is deleted. */
  readonly faults: Map<FakeComputeMethod, FakeFault>;
  /** The guest powers off by itself. */
  powerOff(name: string): void;
  /** QEMU dies. */
  crash(name: string): void;
  /** The guest notices the power button, until it boots again. */
  listen(name: string): void;
  /** The guest releases no nic from now on. */
  keepNics(name: string): void;
  /** The guest prints on its serial console. */
  print(name: string, text: string): void;
  /** The size of the disk that a domain was told; undefined if it was told none. */
  diskSizeBytes(path: string): bigint | undefined;
  /** The text that was typed on the serial console. */
  typed(name: string): string;
  /** Somebody edits the definition. */
  alter(name: string, change: (info: FakeDefinition) => FakeDefinition): void;
  /** Somebody starts, pauses or stops the domain. */
  setState(name: string, state: DomainState): void;
  /** Somebody undefines the domain. */
  forget(name: string): void;
  /** A domain that is not ours gets the same name on the hypervisor. */
  addForeign(name: string, uuid: string): void;
  /** Everything on the node, as plain data, to compare it before and after. */
  snapshot(): FakeComputeSnapshot;
}

export type FakeDefinition = Omit<DomainInfo, "state">;

export interface FakeComputeSnapshot {
  readonly domains: readonly DomainInfo[];
  readonly foreign: readonly { readonly name: string; readonly uuid: string }[];
  readonly folders: readonly string[];
}

export interface FakeComputeOptions {
  /** The memory for all active domains together. Default: no limit. */
  readonly memoryBytesMax?: bigint;
  /** Which disks and taps exist on the node. Default: all. */
  readonly hasDisk?: (path: string) => boolean;
  readonly hasTap?: (tapName: string) => boolean;
}
