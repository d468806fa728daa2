import type { Client } from "@connectrpc/connect";
import type { ComputeDriver } from "../driver/compute/compute-driver.ts";
import type { NetworkDriver } from "../driver/network/network-driver.ts";
import type { NodeFacts } from "../driver/node-facts/node-facts.ts";
import type { SeedDriver } from "../driver/seed/seed-driver.ts";
import type { VolumeDriver } from "../driver/volume/volume-driver.ts";
import type { VolumeAgentService } from "../gen/n0stack/agent/v1alpha1/volume_pb.ts";
import type { AgentIdentity } from "../rpc/agent-token.ts";
import type { Caller } from "../rpc/caller.ts";
import type { Clock } from "../util/clock.ts";
import type { Log } from "../util/log.ts";
import type { KeyedQueue } from "./keyed-queue.ts";
import type { Segments } from "./segments.ts";

/** The drivers, which change the node. */
export interface Drivers {
  readonly compute: ComputeDriver;
  readonly volume: VolumeDriver;
  readonly network: NetworkDriver;
  readonly seed: SeedDriver;
}

export type NodeCapacity = Pick<NodeFacts, "cpuMilliCores" | "memoryBytes" | "storageBytes">;

export type VolumePeer = Client<typeof VolumeAgentService>;

export interface AgentDeps extends Drivers {
  readonly queue: KeyedQueue;
  readonly segments: Segments;
  /** The agent of another node, to read its volumes from. `address` is `host`, `host:port` or a URL. */
  readonly connectPeer: (address: string, nodeName: string) => VolumePeer;
  /** The identity that the node is registered with; undefined if somebody else registers the node. */
  readonly readCapacity?: () => NodeCapacity | undefined | Promise<NodeCapacity>;
  /**
   * The identity that the agent proves to whoever asks. Undefined until it is known, or if somebody else
   * registers the node.
   */
  readonly whoAmI?: () => (AgentIdentity & { readonly agentToken?: string }) | undefined;
  /**
   * Checks the ticket of a caller who wants to read a volume. Undefined: every caller has the token that gives
   * all rights.
   *
   * @throws N0Error `permission_denied`
   */
  readonly admitCopy?: (caller: Caller, volumeId: string, ticket: string) => void;
  readonly clock: Clock;
  readonly log: Log;
}
