import { isIPv6 } from "node:net";
import type { GuestEntry } from "./network-services.ts";

/** The port of VXLAN (RFC 7348). */
export const VXLAN_PORT = 4789;
/** Headers of Ethernet, VXLAN (8), UDP (8) and IP, around each packet of a guest. */
const OVERHEAD_BYTES = { ipv4: 14 + 8 + 8 + 20, ipv6: 14 + 8 + 8 + 40 };

/** The largest packet of a link that nobody has changed. */
export const MTU_OF_ETHERNET = 1500;

/** A guest on another node. */
export interface Peer {
  readonly hardwareAddress: string;
  /** IPv4 and IPv6, without prefix length. */
  readonly addresses: readonly string[];
  /** The address of its node. */
  readonly underlayAddress: string;
  /** How DNS knows it. Undefined: not at all. */
  readonly entry?: GuestEntry;
}

/** The way from a network on this node to its guests on other nodes: VXLAN (RFC 7348). */
export interface Segment {
  readonly networkName: string;
  /** The number of the segment, which no other network has. */
  readonly vni: number;
  /** The largest packet of a guest. */
  readonly mtu: number;
  /** The address of this node. */
  readonly underlayAddress: string;
  readonly peers: readonly Peer[];
  /**
   * Addresses that any of several guests of the network may have, and nobody knows which one. Who asks for one, or
   * says that he has it now, is heard on every node of the network.
   */
  readonly sharedAddresses?: readonly string[];
}

/** The device with an address of the node. */
export interface Underlay {
  readonly device: string;
  readonly mtu: number;
}

/** What the network under a segment must carry in one packet. */
export function underlayMtuFor({ mtu, underlayAddress }: Pick<Segment, "mtu" | "underlayAddress">) {
  return mtu + (isIPv6(underlayAddress) ? OVERHEAD_BYTES.ipv6 : OVERHEAD_BYTES.ipv4);
}
