import type { Network } from "../../../gen/n0stack/pool/v0/network_pb.ts";

/** Of Ethernet, and of a network that an older version has made. */
export const MTU_OF_ETHERNET = 1500;
/** Leaves room for the headers of VXLAN over IPv4 on an Ethernet. */
const MTU_DEFAULT = 1450;

/** The largest packet of a guest on the network. */
export function mtuOf({ mtu, isolated }: Pick<Network, "mtu" | "isolated">): number {
  return mtu === 0 ? defaultMtu(isolated) : mtu;
}

export function defaultMtu(isIsolated: boolean): number {
  return isIsolated ? MTU_OF_ETHERNET : MTU_DEFAULT;
}
