import type { Duplex } from "node:stream";
import type { Maker, Mark } from "../mark.ts";
import type { AnswerMetadata } from "./metadata.ts";
import type { NetworkServices } from "./network-services.ts";
import type { NetworkInfo, NodeNetworkSurvey, TapInfo } from "./network-survey.ts";
import type { PortLimits } from "./port-limits.ts";
import type { Attached, GroupsOfNetwork, PortSpec } from "./security-groups.ts";
import type { Segment, Underlay } from "./segment.ts";

export interface NetworkSpec {
  /** The name of the network on the node, from `nameOnNode` in util/ref.ts. */
  readonly name: string;
  /** The address of the gateway with its prefix length, such as `10.0.0.254/24`. */
  readonly ipv4Gateway?: string;
  /** Such as `fd00::1/64`. */
  readonly ipv6Gateway?: string;
  /** The largest packet of its guests. Undefined: as it is, and 1500 if the network is made. */
  readonly mtu?: number;
  /**
   * Whether its guests reach nothing outside of the network. A network that is on the node keeps what it has, until
   * `ensureGateways` or `ensureNetworkWhole`.
   */
  readonly isNatOff?: true;
  /**
   * The VLAN that it joins, on a node with a device for that; 0 for packets without a number. Undefined: as it is,
   * and none after `ensureNetworkWhole`.
   */
  readonly vlanId?: number;
  /** DHCP and DNS for its guests on this node. Undefined: they stay as they are; a new network has none. */
  readonly services?: NetworkServices;
}

/**
 * Networks of this node. Each network has one network namespace, which holds all of it: the bridge, the taps,
 * the gateway address, and a veth to the node through which the guests reach the internet by NAT. So networks
 * with the same addresses never meet, and removing a network from the node means removing one namespace.
 *
 * Every `ensure…` can be repeated. Implementations pass `network-driver.suite.ts`.
 */
export interface NetworkDriver {
  /**
   * Makes a new persistent tap in the node's own namespace, ready for a domain to open it. It is down, so a guest
   * that runs already cannot send anything to the node before the tap is in its network. First removes a
   * tap of that name and owner, wherever it is and whichever transaction made it, because the domain that used
   * it is not running.
   *
   * @throws N0Error `failed_precondition` if the name belongs to a device that is not ours, or to a tap of
   * another owner. Then nothing changes.
   */
  ensureTap(tapName: string, mark: Mark, signal: AbortSignal): Promise<void>;

  /**
   * Makes the network on this node unless it exists, moves the tap into it and connects the tap. Succeeds if
   * the tap is connected to it already.
   *
   * Before the tap is connected, its filter drops what claims to come from somebody else, and what its security
   * groups do not let pass, and DHCP and DNS know the guest, if the network has these services. A new tap has none
   * of all that unless the call says it.
   *
   * @throws N0Error `failed_precondition` if the tap does not exist, if the services cannot start, or if the kernel
   * of the node cannot enforce security groups, for other groups than `default`, or if the node cannot join the VLAN
   * of the network.
   */
  ensureAttached(
    tapName: string,
    network: NetworkSpec,
    signal: AbortSignal,
    port?: PortSpec,
  ): Promise<Attached>;

  /**
   * Brings the network the newest rules of its groups, and their members on other nodes. Does nothing if it is not
   * on this node, or has a newer state. Connections end that the new rules do not let pass.
   */
  applyGroups(networkName: string, wanted: GroupsOfNetwork, signal: AbortSignal): Promise<void>;

  /**
   * Gives a tap of the network these limits and no others, while its guest goes on. Does nothing if the tap is not
   * there: who connects it brings its limits.
   */
  ensureLimits(
    tapName: string,
    networkName: string,
    limits: PortLimits,
    signal: AbortSignal,
  ): Promise<void>;

  /**
   * Takes a tap of the owner out of its network, into the node's own namespace, where a domain can open it, and
   * makes it if it does not exist. An existing tap keeps the mark of its maker.
   */
  ensureTapOut(tapName: string, mark: Mark, signal: AbortSignal): Promise<void>;

  /**
   * Gives the network these gateways and no others, a way outside or none, and its services if they are said. Does
   * nothing if it is not on this node, half-made or not ours: who brings it here brings its gateways.
   */
  ensureGateways(network: NetworkSpec, signal: AbortSignal): Promise<void>;

  /**
   * Gives the network this way to its guests on other nodes, and no other: none without peers. Repairs what differs.
   * Does nothing if the network is not on this node, half-made or not ours.
   *
   * @throws N0Error `failed_precondition` if the node cannot carry the segment.
   */
  ensureSegment(segment: Segment, signal: AbortSignal): Promise<void>;

  /** The device of this node that has the address; undefined if none has it. */
  findUnderlay(address: string, signal: AbortSignal): Promise<Underlay | undefined>;

  /**
   * Removes the tap of `maker`, wherever it is, and removes the network from this node if that was its last
   * tap. Succeeds if there is no such tap. Removes an unmarked tap of ours too.
   */
  ensureTapAbsent(
    tapName: string,
    networkName: string,
    maker: Maker,
    signal: AbortSignal,
  ): Promise<void>;

  /** Removes the network with everything in it from this node. */
  ensureNetworkAbsent(networkName: string, signal: AbortSignal): Promise<void>;

  listTaps(signal: AbortSignal): Promise<readonly TapInfo[]>;

  listNetworks(signal: AbortSignal): Promise<readonly NetworkInfo[]>;

  /** Like the lists, with the state of each thing. Changes nothing. */
  survey(signal: AbortSignal): Promise<NodeNetworkSurvey>;

  /**
   * Repairs each missing or changed part of a network on this node, and connects the taps that are in it. What is
   * lost of one tap alone, its filter, its groups or its entry, is made again by `moveTap`.
   *
   * @param groups for rules of groups that somebody has changed.
   * @throws N0Error `failed_precondition` if the network is not on this node, or the existing one is not ours.
   */
  ensureNetworkWhole(
    network: NetworkSpec,
    signal: AbortSignal,
    groups?: GroupsOfNetwork,
  ): Promise<void>;

  /**
   * Like `ensureAttached`, for a tap of `maker` that somebody has put into another network or taken off its
   * bridge. A domain that has the tap open keeps using it.
   */
  moveTap(
    tapName: string,
    network: NetworkSpec,
    maker: Maker,
    signal: AbortSignal,
    port?: PortSpec,
  ): Promise<Attached>;

  /** Removes the network from this node if it has no taps, and removes its uplinks without another end. */
  sweepNetwork(networkName: string, signal: AbortSignal): Promise<void>;

  /** The rules in the node's own namespace: `whole` while there are networks, `absent` without networks. */
  ensureNodeRules(signal: AbortSignal): Promise<void>;

  /**
   * Applies those rules again if there are networks, and the rules are missing or do not fit the networks that
   * the node is in now. Call it every few seconds. It does not repair rules that somebody changed: `survey`
   * reports them.
   *
   * @returns whether anything was applied.
   */
  keepNodeRules(signal: AbortSignal): Promise<boolean>;

  /** Why this node cannot forward the IPv6 packets of guests, at the last look. Undefined if it can, or is not to. */
  ipv6Obstacle(): string | undefined;
  /**
   * Starts DHCP and DNS of networks again where they have ended, and ends them where the network is gone. Call it
   * every few seconds.
   *
   * @returns the names of the networks for which it did anything.
   */
  keepServices(signal: AbortSignal): Promise<readonly string[]>;

  /**
   * Lets `answer` answer what guests ask at the addresses of metadata, in each network here: at once in those that come
   * later. Gives these addresses to networks that an older version made. Call it every few seconds, and in the end
   * with `undefined`, after which nobody answers.
   *
   * @returns the names of the networks for which it did anything.
   */
  keepMetadata(answer: AnswerMetadata | undefined, signal: AbortSignal): Promise<readonly string[]>;

  /** Why networks cannot join VLANs of the node's device for that. Undefined if they can, or there is none. */
  externalObstacle(): Promise<string | undefined>;

  /** Whether the kernel of the node can enforce security groups (br_netfilter). */
  judgesGroups(): boolean;

  /** The addresses, of the given ones, that guests of this node cannot reach for DNS. */
  closedNameservers(addresses: readonly string[]): readonly string[];

  /**
   * A TCP connection to an address inside of the network, made from within its namespace. Each half ends by
   * itself: a caller that has read the end must still end its own half. The signal destroys the connection at
   * any time, also long after it was made.
   *
   * @throws N0Error `failed_precondition` if the network is not on this node; `unavailable` if nobody answers
   * there.
   */
  connect(networkName: string, address: string, port: number, signal: AbortSignal): Promise<Duplex>;
}
