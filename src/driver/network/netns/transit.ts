import { crc32 } from "node:zlib";
import { type Cidr, formatAddress, parseAddress, parseCidr } from "../../../util/cidr.ts";

/** A range of IPv4 addresses as numbers, with both ends. */
interface Range {
  readonly first: number;
  readonly last: number;
}

/** The two addresses of one uplink, with their prefix length. */
export interface Transit {
  readonly outside: string;
  readonly inside: string;
  /** The outer address without its prefix length, which is the gateway of the namespace. */
  readonly via: string;
}

/**
 * The IPv6 addresses of uplinks: a unique local prefix (RFC 4193) that spells "n0stack", and the uplink's IPv4
 * address. So who has an IPv4 subnet also has an IPv6 one.
 */
export const TRANSIT_POOL_6: Cidr = parseCidr("fd6e:3073:7461:636b::/96", 6)!;

/**
 * A /30 each: the address of the subnet, the end of the node, the end of the network, the broadcast address.
 */
const SUBNET_LENGTH = 30;
const SUBNET_ADDRESSES = 2 ** (32 - SUBNET_LENGTH);

/**
 * Picks a subnet of `pool` that overlaps nothing in `taken` (addresses or routes, such as `10.0.0.0/8` or
 * `10.0.0.1`). The search starts at a place that depends on `seed`, so that two instances on one node rarely
 * want the same subnet, even if both look before either has taken one.
 *
 * A range that contains the whole pool is ignored: the subnet of an uplink is narrower and wins.
 *
 * @returns undefined when the pool is full.
 */
export function pickTransit(
  pool: string,
  taken: readonly string[],
  seed: string,
): Transit | undefined {
  const { first, last } = rangeOf(pool);
  const count = Math.floor((last - first + 1) / SUBNET_ADDRESSES);
  const used = new Set<number>();
  for (const range of taken.map(rangeOf)) {
    if (range.last < first || range.first > last) continue;
    if (range.first <= first && range.last >= last) continue;
    const from = Math.max(0, Math.floor((range.first - first) / SUBNET_ADDRESSES));
    const to = Math.min(count - 1, Math.floor((range.last - first) / SUBNET_ADDRESSES));
    for (let subnet = from; subnet <= to; subnet++) used.add(subnet);
  }
  const start = crc32(seed);
  for (let n = 0; n < count; n++) {
    const subnet = (start + n) % count;
    if (!used.has(subnet)) return transitAt(first + subnet * SUBNET_ADDRESSES);
  }
  return undefined;
}

function transitAt(first: number): Transit {
  const via = formatIpv4(first + 1);
  return {
    outside: `${via}/${SUBNET_LENGTH}`,
    inside: `${formatIpv4(first + 2)}/${SUBNET_LENGTH}`,
    via,
  };
}

/** The IPv6 addresses of the uplink whose inner end has that IPv4 address. */
export function transit6Of(inside: string): Transit {
  const value = parseAddress(inside.split("/")[0]!, 4)!;
  const at = (ipv4: bigint) => formatAddress(TRANSIT_POOL_6.base + ipv4, 6);
  const length = 128 - 32 + SUBNET_LENGTH;
  const via = at(value - 1n);
  return { outside: `${via}/${length}`, inside: `${at(value)}/${length}`, via };
}

/** Whether two ranges, written as `pickTransit` accepts them, have an address in common. */
export function overlaps(a: string, b: string): boolean {
  const [left, right] = [rangeOf(a), rangeOf(b)];
  return left.first <= right.last && right.first <= left.last;
}

function rangeOf(cidr: string): Range {
  const [address = "", length = "32"] = cidr.split("/");
  const size = 2 ** (32 - Number(length));
  const value = address.split(".").reduce((sum, byte) => sum * 256 + Number(byte), 0);
  const first = Math.floor(value / size) * size;
  return { first, last: first + size - 1 };
}

function formatIpv4(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".");
}
