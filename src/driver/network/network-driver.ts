import type { Duplex } from "node:stream";
import type { Maker, Mark } from "../mark.ts";
import type { NetworkInfo, NodeNetworkSurvey, TapInfo } from "./network-survey.ts";

export interface NetworkSpec {
  /** The Network's name on the node: `nameOnNode` in util/ref.ts. */
  readonly name: string;
  /** The gateway's address with its prefix length, such as `10.0.0.254/24`. */
  readonly ipv4Gateway?: string;
  /** Such as `fd00::1/64`. */
  readonly ipv6Gateway?: string;
}

/**
 * Networks of this node: one network namespace per Network holds all of it — the bridge, the taps, the
 * gateway address, and a veth to the node through which the guests reach the world by NAT. Overlapping
 * networks never meet, and removing a Network from the node is removing one namespace.
 *
 * Every `ensure…` can be repeated. Implementations pass `network-driver.suite.ts`.
 */
export interface NetworkDriver {
  /**
   * Makes a fresh persistent tap in the node's own namespace, up, ready for a domain to open it. A tap
   * of that name of the same owner is removed first, wherever it is and whichever transaction made it:
   * the domain that used it is not running.
   *
   * @throws N0Error `failed_precondition` if a device that is not ours has the name, or a tap of another
   *   owner; nothing is touched.
   */
  ensureTap(tapName: string, mark: Mark, signal: AbortSignal): Promise<void>;

  /**
   * Makes the Network on this node if it is not there, moves the tap into it and connects it. A tap
   * that is already connected to it is success.
   *
   * @throws N0Error `failed_precondition` if the tap does not exist.
   */
  ensureAttached(tapName: string, network: NetworkSpec, signal: AbortSignal): Promise<void>;

  /**
   * Removes the tap of `maker` wherever it is, and the Network from this node when that was its last
   * tap. Success if there is none. A tap that is nobody's goes as well.
   */
  ensureTapAbsent(
    tapName: string,
    networkName: string,
    maker: Maker,
    signal: AbortSignal,
  ): Promise<void>;

  /** Removes the Network from this node with all that is in it. */
  ensureNetworkAbsent(networkName: string, signal: AbortSignal): Promise<void>;

  listTaps(signal: AbortSignal): Promise<readonly TapInfo[]>;

  listNetworks(signal: AbortSignal): Promise<readonly NetworkInfo[]>;

  /** As the lists, with how each thing stands. Changes nothing. */
  survey(signal: AbortSignal): Promise<NodeNetworkSurvey>;

  /**
   * Makes anew whatever part of a Network on this node is missing or altered, and connects the taps that
   * are in it.
   *
   * @throws N0Error `failed_precondition` if it is not on this node, or what is there is not ours.
   */
  ensureNetworkWhole(network: NetworkSpec, signal: AbortSignal): Promise<void>;

  /**
   * As `ensureAttached`, for a tap of `maker` that somebody has put into another Network or taken off its
   * bridge. A domain that has it open goes on with it.
   */
  moveTap(tapName: string, network: NetworkSpec, maker: Maker, signal: AbortSignal): Promise<void>;

  /** Removes the Network from this node if it has no taps, and uplinks of it that lead nowhere. */
  sweepNetwork(networkName: string, signal: AbortSignal): Promise<void>;

  /** The rules in the node's own namespace: whole while there are Networks, absent where there are none. */
  ensureNodeRules(signal: AbortSignal): Promise<void>;

  /**
   * Applies those rules anew where Networks are and the rules are gone, or not for the networks that the node
   * is in now. For calling every few seconds: rules that somebody changed are left for `survey` to find.
   *
   * @returns whether there was something to do.
   */
  keepNodeRules(signal: AbortSignal): Promise<boolean>;

  /** Those of the addresses that guests of this node may not ask for names. */
  closedNameservers(addresses: readonly string[]): readonly string[];

  /**
   * A TCP connection to an address inside the Network, made from within its namespace. Each half ends
   * by itself: whoever has heard the end still has to end its own. The signal destroys the connection at
   * any time, also when it has long been made.
   *
   * @throws N0Error `failed_precondition` if the Network is not on this node; `unavailable` if nobody
   *   answers there.
   */
  connect(networkName: string, address: string, port: number, signal: AbortSignal): Promise<Duplex>;
}
