import type { Client } from "@connectrpc/connect";
import type { ComputeAgentService } from "../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import type { NetworkAgentService } from "../../gen/n0stack/agent/v1alpha1/network_pb.ts";
import type { Ref } from "../../util/ref.ts";
import type { VolumeTarget } from "../provisioning/block-storage/volume/open-volume.ts";

/** Where to reach the screen, the serial console and the ports of a virtual machine. */
export interface ConsoleTarget {
  readonly uuid: string;
  /** Tells it from all other virtual machines of its name. */
  readonly incarnation: string;
  readonly nodeName: string;
  readonly compute: Pick<
    Client<typeof ComputeAgentService>,
    "openVnc" | "openSerial" | "readSerialLog"
  >;
  readonly network: Pick<Client<typeof NetworkAgentService>, "connect">;
  /** The guest's own addresses, without prefix length, in the order of its nics. */
  readonly addresses: readonly { readonly network: Ref; readonly address: string }[];
}

/** @throws N0Error `not_found`; `failed_precondition` if it has no node; `unavailable`. */
export type FindConsole = (virtualMachine: Ref) => Promise<ConsoleTarget>;

/** @throws N0Error `not_found`; `failed_precondition` while it is being made; `unavailable`. */
export type FindVolume = (blockStorage: Ref) => Promise<VolumeTarget>;
