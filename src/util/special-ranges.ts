import {
  type Cidr,
  disjoint,
  type Family,
  formatCidr,
  overlaps,
  parseBlock,
  parseCidr,
} from "./cidr.ts";

/** A range of addresses that no host of a network can have, and its purpose. */
interface SpecialRange {
  readonly cidr: Cidr;
  readonly use: string;
}

/**
 * The ranges of the special-purpose registries (RFC 6890; https://www.iana.org/assignments/
 * iana-ipv4-special-registry and iana-ipv6-special-registry) and of the address architectures (RFC 1122 section
 * 3.2.1.3, RFC 4291) that hosts of a network cannot use: systems give them another meaning or may not route
 * them, or protocols use them.
 *
 * Every other range is allowed, since a guest and its gateway can use it, even if the internet does not route
 * it: private (RFC 1918, fc00::/7), shared (100.64.0.0/10), benchmarking (198.18.0.0/15), documentation
 * (192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, 2001:db8::/32, 3fff::/20), the former site-local fec0::/10
 * (RFC 3879 makes it ordinary), 6to4, and all public ones.
 */
const SPECIAL_RANGES: Readonly<Record<Family, readonly SpecialRange[]>> = {
  4: [
    range(4, "0.0.0.0/8", "hosts that have no address yet (RFC 1122)"),
    range(4, "127.0.0.0/8", "the loopback (RFC 1122)"),
    range(4, "169.254.0.0/16", "link-local addresses (RFC 3927)"),
    range(4, "192.0.0.0/24", "addresses of protocols (RFC 6890)"),
    range(4, "224.0.0.0/4", "multicast (RFC 5771)"),
    range(4, "240.0.0.0/4", "reserved, with the broadcast address (RFC 1112)"),
  ],
  6: [
    range(6, "::/96", "the unspecified address, the loopback and IPv4-compatible ones (RFC 4291)"),
    range(6, "::ffff:0:0/96", "IPv4-mapped addresses (RFC 4291)"),
    range(6, "64:ff9b::/96", "IPv4 addresses in translation (RFC 6052)"),
    range(6, "64:ff9b:1::/48", "IPv4 addresses in translation (RFC 8215)"),
    range(6, "100::/64", "packets to be discarded (RFC 6666)"),
    range(6, "100:0:0:1::/64", "a dummy prefix (RFC 9780)"),
    range(6, "2001::/23", "addresses of protocols (RFC 2928)"),
    range(6, "fe80::/10", "link-local addresses (RFC 4291)"),
    range(6, "ff00::/8", "multicast (RFC 4291)"),
  ],
};

function range(family: Family, text: string, use: string): SpecialRange {
  return { cidr: parseCidr(text, family)!, use };
}

/**
 * The special range that the CIDR overlaps.
 *
 * @returns for example `127.0.0.0/8, the loopback (RFC 1122)`; undefined if hosts can have all addresses of the
 * CIDR.
 */
export function specialRangeIn(cidr: Cidr): string | undefined {
  const special = SPECIAL_RANGES[cidr.family].find((one) => overlaps(one.cidr, cidr));
  return special === undefined ? undefined : `${formatCidr(special.cidr)}, ${special.use}`;
}

/**
 * The addresses at which clouds give a virtual machine its secrets, besides 169.254.0.0/16: those of Azure and
 * Alibaba, and over IPv6 those of AWS and Google. Nothing else has these addresses.
 */
const METADATA_SERVICES = [
  "168.63.129.16/32",
  "100.100.100.200/32",
  "fd00:ec2::/32",
  "fd20:ce::254/128",
].map((text) => parseBlock(text)!);

/**
 * IPv6 addresses that contain an IPv4 address, to which a translator or a tunnel may send: the reserved `::/8`
 * with the mapped, compatible and translated ones (RFC 4291, 2765, 6052, 8215), Teredo (RFC 4380) and 6to4 (RFC
 * 3056).
 */
const HIDING_IPV4 = ["::/8", "2001::/32", "2002::/16"].map((text) => parseBlock(text)!);

/**
 * Addresses that no host on the internet has: special ones, metadata services of clouds, and IPv4 addresses
 * hidden in IPv6.
 */
export const NO_DESTINATIONS: Readonly<Record<Family, readonly Cidr[]>> = {
  4: destinationsOf(4),
  6: destinationsOf(6),
};

function destinationsOf(family: Family): readonly Cidr[] {
  const special = SPECIAL_RANGES[family].map(({ cidr }) => cidr);
  const others = [...METADATA_SERVICES, ...HIDING_IPV4].filter((cidr) => cidr.family === family);
  return disjoint([...special, ...others]);
}
