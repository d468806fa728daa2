import type { Mark } from "../mark.ts";

/** How a part of what is made stands. `altered`: it is there, and not as we make it. */
export type PartState = "whole" | "absent" | "altered";

export interface TapInfo {
  readonly name: string;
  /** Its owner is "" where the maker died before it could say: nobody's, and to be removed. */
  readonly mark: Mark;
  /** Undefined while the tap is still outside, in the node's own network namespace. */
  readonly networkName?: string;
}

export interface NetworkInfo {
  readonly name: string;
  /** The owner is the Network; the transaction is the one whose tap was the first in it. */
  readonly mark: Mark;
  readonly tapNames: readonly string[];
  readonly gateways: readonly string[];
}

export interface TapSurvey extends TapInfo {
  /** Up, and a port of its Network's bridge. */
  readonly isConnected: boolean;
}

export interface NetworkPartsSurvey {
  /** `altered`: a name without a namespace, or one that nobody finished making. */
  readonly namespace: PartState;
  readonly bridge: PartState;
  /** The way to the node: the veth, its addresses, and the default route. */
  readonly uplink: PartState;
  /** Filter, NAT and forwarding inside the namespace. */
  readonly rules: PartState;
}

export interface NetworkSurvey extends NetworkInfo, NetworkPartsSurvey {}

/** The end outside of an uplink of ours whose other end is not in its Network. */
export interface StrayUplink {
  readonly device: string;
  readonly networkName: string;
}

/** All that this instance has on the node, half-made and damaged things too. */
export interface NodeNetworkSurvey {
  readonly taps: readonly TapSurvey[];
  readonly networks: readonly NetworkSurvey[];
  readonly strayUplinks: readonly StrayUplink[];
  /** Filter, NAT and forwarding in the node's own namespace. */
  readonly nodeRules: PartState;
}
