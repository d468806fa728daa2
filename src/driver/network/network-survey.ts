import type { Mark } from "../mark.ts";
import type { GuestEntry, NetworkServices } from "./network-services.ts";
import type { PortIdentity } from "./port-identity.ts";
import type { PortLimits } from "./port-limits.ts";
import type { PortGroupsSurvey } from "./security-groups.ts";
import type { Peer } from "./segment.ts";

/** The state of a part. `altered`: it exists, but is not as we make it. */
export type PartState = "whole" | "absent" | "altered";

export interface TapInfo {
  readonly name: string;
  /**
   * The owner is "" if the maker died before it set the mark. Such a thing belongs to nobody and should be
   * removed.
   */
  readonly mark: Mark;
  /** Undefined while the tap is still in the node's own network namespace. */
  readonly networkName?: string;
}

export interface NetworkInfo {
  readonly name: string;
  /** The owner is the network. The transaction is the one that attached its first tap. */
  readonly mark: Mark;
  readonly tapNames: readonly string[];
  readonly gateways: readonly string[];
}

/** What keeps the guest behind a tap from saying that it is somebody else. */
export interface PortFilter {
  readonly state: PartState;
  /** Whose packets pass, if the filter is whole. */
  readonly identity?: PortIdentity;
}

/** The limits of a nic. `absent`: it has none. */
export interface PortLimitsSurvey {
  readonly state: PartState;
  /** Those of a tap whose limits are whole. */
  readonly limits?: PortLimits;
}

/** How DHCP and DNS know the guest behind a tap. */
export interface TapEntry {
  readonly state: PartState;
  /** Set if the entry is whole. */
  readonly entry?: GuestEntry;
}

export interface TapSurvey extends TapInfo {
  /** Whether the tap is up, and a port of the bridge of its network. */
  readonly isConnected: boolean;
  /** The largest packet that it takes. */
  readonly mtu: number;
  readonly filter: PortFilter;
  readonly limits: PortLimitsSurvey;
  readonly groups: PortGroupsSurvey;
  readonly entry: TapEntry;
}

/** The segment as it is on the node. */
export interface SegmentSurvey {
  readonly device: PartState;
  readonly vni: number;
  readonly mtu: number;
  readonly underlayAddress: string;
  readonly peers: readonly Peer[];
  /** As in `Segment`, in order. */
  readonly sharedAddresses: readonly string[];
  /** Parts of entries without the others, in words. */
  readonly strays: readonly string[];
}

/** Of a network that has no way to other nodes. */
export const NO_SEGMENT: SegmentSurvey = {
  device: "absent",
  vni: 0,
  mtu: 0,
  underlayAddress: "",
  peers: [],
  sharedAddresses: [],
  strays: [],
};

/** The way to the VLAN of a network. */
export interface ExternalSurvey {
  /** The device of the node. */
  readonly device: string;
  readonly state: PartState;
  /** Undefined without a way; 0 for one without a number. */
  readonly vlanId?: number;
}

export interface NetworkPartsSurvey {
  /** `altered`: a name without a namespace, or a namespace whose maker did not finish. */
  readonly namespace: PartState;
  readonly bridge: PartState;
  /** That of the bridge; 0 without one. */
  readonly mtu: number;
  /** The way to the node: the veth, its addresses and the default route. */
  readonly uplink: PartState;
  /** Filter, NAT and forwarding inside of the namespace. */
  readonly rules: PartState;
  /** Whether these rules let no guest outside. */
  readonly isNatOff: boolean;
  /** The names of taps that are not in the network, and have a filter or limits there. */
  readonly strayFilters: readonly string[];
  readonly segment: SegmentSurvey;
  /** Undefined on a node without a device for VLANs. */
  readonly external?: ExternalSurvey;
  readonly groups: NetworkGroupsSurvey;
  /** DHCP and DNS. `altered`: they do not run, or not for this network as it is. */
  readonly services: PartState;
  /** Its addresses, and who listens there. `altered`: some of that. */
  readonly metadata: PartState;
  /** As the services say it, running or not. */
  readonly served?: NetworkServices;
  /** The names of taps that are not in the network, and have an entry in its services. */
  readonly strayEntries: readonly string[];
  /** The digest of the guests on other nodes that DNS knows; undefined without DNS. */
  readonly namesElsewhere?: string;
}

/** What a network here knows of security groups. */
export interface NetworkGroupsSurvey {
  readonly state: PartState;
  /** Undefined while nobody has told it. */
  readonly generation?: bigint;
  /** The digest of the members on other nodes. */
  readonly members: string;
}

export interface NetworkSurvey extends NetworkInfo, NetworkPartsSurvey {}

/** The outer end of an uplink of ours whose other end is not in its network. */
export interface StrayUplink {
  readonly device: string;
  readonly networkName: string;
}

/** Everything of this instance on the node, with half-made and damaged things. */
export interface NodeNetworkSurvey {
  readonly taps: readonly TapSurvey[];
  readonly networks: readonly NetworkSurvey[];
  readonly strayUplinks: readonly StrayUplink[];
  /** The names of networks that are not here, and have files or processes of services. */
  readonly strayServices: readonly string[];
  /** Filter, NAT and forwarding in the node's own namespace. */
  readonly nodeRules: PartState;
}
