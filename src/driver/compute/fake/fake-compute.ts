import type { ComputeDriver } from "../compute-driver.ts";
import type { DomainInfo, DomainState } from "../domain.ts";

/** The methods that take a signal, and so can be made to fail or hang. */
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
  | "undoGrowDisk";

export interface FakeFault {
  /** `after`: the thing is done, and the answer lost. */
  readonly when: "before" | "after";
  /** `hang` waits for the signal. */
  readonly what: Error | "hang";
}

export type FakeComputeDriver = ComputeDriver & FakeHands;

/** What befalls the node without the driver, and what can be seen there. */
export interface FakeHands {
  /** Happens at each call of that method, until it is deleted. */
  readonly faults: Map<FakeComputeMethod, FakeFault>;
  /** The guest powers off by itself. */
  powerOff(name: string): void;
  /** QEMU dies. */
  crash(name: string): void;
  /** The guest hears the power button, until it boots again. */
  listen(name: string): void;
  /** The guest prints on its serial console. */
  print(name: string, text: string): void;
  /** How large a domain was told that the disk is; undefined where none was told. */
  diskSizeBytes(path: string): bigint | undefined;
  /** What was typed on the serial console. */
  typed(name: string): string;
  /** Somebody edits the definition. */
  alter(name: string, change: (info: FakeDefinition) => FakeDefinition): void;
  /** Somebody starts, pauses or stops it. */
  setState(name: string, state: DomainState): void;
  /** Somebody undefines it. */
  forget(name: string): void;
  /** A domain of somebody else's under the same name on the hypervisor. */
  addForeign(name: string, uuid: string): void;
  /** Everything on the node, as plain data: for comparing before and after. */
  snapshot(): FakeComputeSnapshot;
}

export type FakeDefinition = Omit<DomainInfo, "state">;

export interface FakeComputeSnapshot {
  readonly domains: readonly DomainInfo[];
  readonly foreign: readonly { readonly name: string; readonly uuid: string }[];
  readonly folders: readonly string[];
}

export interface FakeComputeOptions {
  /** Of all active domains together. Default: without limit. */
  readonly memoryBytesMax?: bigint;
  /** Tells which disks and taps are on the node. Default: all. */
  readonly hasDisk?: (path: string) => boolean;
  readonly hasTap?: (tapName: string) => boolean;
}
