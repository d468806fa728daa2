import type { ErrorKind } from "../../../util/errors.ts";
import type { Maker, Mark } from "../../mark.ts";
import type { Accelerator, DomainInfo, DomainSpec, DomainState, NicSpec } from "../domain.ts";
import type { CpuController } from "./cpu-shares.ts";

/** The settings that every worker gets at its start. */
export interface DriverSettings {
  readonly uri: string;
  readonly prefix: string;
  readonly baseDirectory: string;
  readonly accelerator: Accelerator;
  readonly cpuController: CpuController;
}

/** One whole piece of work on one domain. One worker does it without a pause. */
export type Operation =
  | { readonly kind: "start"; readonly spec: DomainSpec; readonly mark: Mark }
  | { readonly kind: "define"; readonly spec: DomainSpec; readonly mark: Mark }
  | {
      readonly kind: "resume" | "pause" | "shutdown" | "reset" | "reboot" | "off" | "observe";
      readonly name: string;
    }
  | { readonly kind: "require_new"; readonly name: string; readonly mark: Mark }
  | { readonly kind: "remove"; readonly name: string; readonly maker: Maker }
  | {
      readonly kind: "grow";
      readonly name: string;
      readonly path: string;
      readonly sizeBytes: bigint;
    }
  | {
      readonly kind: "undo_grow";
      readonly name: string;
      readonly path: string;
      readonly fromBytes: bigint;
      readonly toBytes: bigint;
    }
  | { readonly kind: "plug"; readonly name: string; readonly nic: NicSpec }
  | {
      readonly kind: "unplug";
      readonly name: string;
      readonly hardwareAddress: string;
      readonly isRequest: boolean;
    }
  | { readonly kind: "list" };

/** The results of the operations. All others return nothing. */
export interface OperationResults {
  readonly observe: DomainState;
  /** Whether the guest still has the nic. */
  readonly unplug: boolean;
  readonly list: readonly DomainInfo[];
}

export type OperationResult<K extends Operation["kind"]> = K extends keyof OperationResults
  ? OperationResults[K]
  : void;

/** The user that QEMU runs as. It must be able to make sockets in the folder of a virtual machine. */
export interface QemuUser {
  readonly uid: number;
  readonly gid: number;
}

export type ToRpcWorker =
  /** The facts about libvirt, sent before the first operation. */
  | { readonly kind: "know"; readonly qemuUser: QemuUser | undefined }
  | { readonly kind: "run"; readonly id: number; readonly operation: Operation }
  | { readonly kind: "stop" };

/** An error object loses its class between threads, so its parts are sent. */
export interface WireError {
  readonly kind: ErrorKind;
  readonly message: string;
  readonly resource: string | undefined;
  readonly field: string | undefined;
  /** The cause chain in one line. */
  readonly cause: string;
}

export type FromRpcWorker =
  | { readonly kind: "done"; readonly id: number; readonly result: unknown }
  | { readonly kind: "failed"; readonly id: number; readonly error: WireError };

export type FromEventWorker =
  | { readonly kind: "connected"; readonly qemuUser: QemuUser | undefined }
  | { readonly kind: "lost"; readonly reason: string }
  /** Something happened to the domain with that libvirt name. */
  | { readonly kind: "event"; readonly libvirtName: string };

export interface ToEventWorker {
  readonly kind: "stop";
}
