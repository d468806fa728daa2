import type { Network } from "../../../gen/n0stack/pool/v0/network_pb.ts";
import { parseAddressRange, rangeAt, sizeWithin } from "../../../util/address-range.ts";
import { type Cidr, formatCidr, hostRange, parseAddress } from "../../../util/cidr.ts";
import { type InterfaceReservation, spokenAddresses } from "../interface/collection.ts";
import { cidrsOf, gatewayAddresses } from "./record.ts";

/** An interface with its addresses as numbers. */
export interface Addressed {
  readonly reserved: InterfaceReservation;
  readonly ipv4: readonly bigint[];
  readonly ipv6: readonly bigint[];
  /** Sorts interfaces by their first IPv4 addresses, then IPv6 addresses. Unique in the network. */
  readonly place: string;
}

export function addressed(reserved: InterfaceReservation): Addressed {
  const first4 = parseAddress(reserved.ipv4Address, 4);
  const first6 = parseAddress(reserved.ipv6Address, 6);
  const place = [sortable(first4, 8), sortable(first6, 32), reserved.hardwareAddress].join(" ");
  const own = spokenAddresses(reserved);
  const [ipv4, ipv6] = ([4, 6] as const).map((family) =>
    own.flatMap((address) => parseAddress(address, family) ?? []),
  );
  return { reserved, place, ipv4: ipv4!, ipv6: ipv6! };
}

/** What has no address is sorted behind what has one. */
function sortable(address: bigint | undefined, digits: number): string {
  return address === undefined ? "none" : address.toString(16).padStart(digits, "0");
}

/** How many host addresses of each CIDR are used and free. @param all All interfaces of the network. */
export function addressCounts(network: Network, all: readonly Addressed[]) {
  const cidrs = cidrsOf(network);
  const gateways = gatewayAddresses(cidrs);
  const ranges = network.reservedRanges.map((text) => parseAddressRange(text)!);
  const countOf = (cidr: Cidr) => {
    const { family } = cidr;
    const { first, last } = hostRange(cidr);
    const reserved = ranges
      .filter((range) => range.family === family)
      .sort((a, b) => (a.first < b.first ? -1 : 1));
    // Several may have one that is allowed to them.
    const used = [...new Set(all.flatMap((one) => one[`ipv${family}`]))];
    const free = last - first + 1n - BigInt(used.length);
    const hostsReserved = reserved.reduce((sum, range) => sum + sizeWithin(range, first, last), 0n);
    const usedReserved = used.filter((address) => rangeAt(reserved, address) !== undefined).length;
    return {
      cidr: formatCidr(cidr),
      gatewayAddress: gateways[`ipv${family}Address`],
      used: String(used.length),
      free: String(free),
      freeOutsideReservedRanges: String(free - (hostsReserved - BigInt(usedReserved))),
    };
  };
  return [cidrs.ipv4, cidrs.ipv6].filter((cidr) => cidr !== undefined).map(countOf);
}
