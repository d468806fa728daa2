import type { Names } from "./names.ts";
import { type Table, tableOf } from "./tables.ts";

export const FILTER_TABLE = "n0stack";
/** Part of the comment of the table. A table of another version is replaced, and keeps its elements. */
const VERSION = "1";

/** Frames to these never leave a link (IEEE 802.1Q): spanning tree, LLDP, pause, authentication. */
const TO_BRIDGES = "ether daddr & ff:ff:ff:ff:ff:00 == 01:80:c2:00:00:00";

/**
 * What a guest may send, for each port of the bridge that is in the set `ports`. Every other port passes: it
 * has no guest, or one whose API is too old to say who it is.
 *
 * Each rule accepts what it fully understands, and each chain ends with `drop`. If nft cannot read a field, as
 * in a short packet or a later fragment, its rule does not match. So a packet that hides a field is dropped.
 *
 * The kernel learns addresses also from frames to bridges. Some of them pass the hook `input` alone, and LLDP
 * passes none unless the bridge forwards it (`FORWARD_MASK`).
 */
const BODY = `
  set ports { type ifname; }
  set macs { typeof iifname . ether saddr; }
  set ipv4 { typeof iifname . ip saddr; }
  set ipv6 { typeof iifname . ip6 saddr; }
  set targets { typeof iifname . @th,64,128; }
  set options { typeof iifname . @th,192,64; }
  chain prerouting {
    type filter hook prerouting priority dstnat; policy accept;
    iifname @ports ${TO_BRIDGES} drop
    iifname . ether saddr @macs goto guest
    iifname @ports drop
  }
  chain input {
    type filter hook input priority filter; policy accept;
    iifname @ports ${TO_BRIDGES} drop
  }
  chain guest {
    ether type vmap { arp : goto guest_arp, ip : goto guest_ipv4, ip6 : goto guest_ipv6 }
    drop
  }${arpChains()}${ipv4Chains()}${ipv6Chains()}${neighborChains()}`;

export function filterTable(names: Names): Table {
  return tableOf(names, "bridge", FILTER_TABLE, "filters", VERSION, BODY);
}

/** A probe for an address that is not the guest's would make its owner give the address up (RFC 5227). */
function arpChains(): string {
  return `
  chain guest_arp {
    arp htype 1 arp ptype ip arp hlen 6 arp plen 4 iifname . arp saddr ether @macs goto own_arp
    drop
  }
  chain own_arp {
    arp operation { request, reply } iifname . arp saddr ip @ipv4 accept
    arp operation request arp saddr ip 0.0.0.0 iifname . arp daddr ip @ipv4 accept
    drop
  }`;
}

/**
 * A fragment begins at a multiple of 8 bytes, and the header of UDP has 8 bytes. So a later fragment never
 * changes the ports that the first one has shown.
 */
function ipv4Chains(): string {
  return `
  chain guest_ipv4 {
    iifname . ip saddr @ipv4 goto own_ipv4
    ip saddr 0.0.0.0 ip daddr 255.255.255.255 ip frag-off & 0x3fff == 0 udp sport 68 udp dport 67 accept
    drop
  }
  chain own_ipv4 {
    ip protocol != udp accept
    ip frag-off & 0x1fff != 0 accept
    udp dport != 68 accept
    drop
  }`;
}

/**
 * As in IPv4, if the first fragment has its whole chain of headers (RFC 7112). A fragment that begins with
 * another header of IPv6 itself (0, 43, 44, 60) could hide that, so it is dropped.
 *
 * Messages of neighbor discovery (133 to 137), of its inverse (141, 142) and router renumbering (138) pass in
 * their own chains or not at all.
 */
function ipv6Chains(): string {
  return `
  chain guest_ipv6 {
    ip6 nexthdr icmpv6 icmpv6 type vmap { 133 : goto router_solicit, 135 : goto neighbor_solicit, 136 : goto neighbor_advert }
    iifname . ip6 saddr @ipv6 goto own_ipv6
    ip6 saddr :: icmpv6 type { mld-listener-report, mld2-listener-report } accept
    drop
  }
  chain own_ipv6 {
    frag nexthdr { 0, 43, 44, 60 } drop
    frag frag-off != 0 accept
    meta l4proto != { icmpv6, udp } accept
    udp dport != 546 accept
    icmpv6 type != { 133-138, 141-142 } accept
    drop
  }`;
}

/**
 * A message of neighbor discovery has no other option than its link-layer address or, in a probe for a
 * duplicate, a nonce (RFC 7527). Its length shows that, since each of both options has 8 bytes.
 */
function neighborChains(): string {
  const own = "iifname . ip6 saddr @ipv6";
  const ownTarget = "iifname . @th,64,128 @targets";
  const ownOption = "iifname . @th,192,64 @options";
  return `
  chain router_solicit {
    ip6 saddr :: ip6 length 8 accept
    ${own} ip6 length 8 accept
    ${own} ip6 length 16 iifname . @th,64,64 @options accept
    drop
  }
  chain neighbor_solicit {
    ${own} ip6 length 24 accept
    ${own} ip6 length 32 ${ownOption} accept
    ip6 saddr :: ip6 length 24 ${ownTarget} accept
    ip6 saddr :: ip6 length 32 @th,192,16 0x0e01 ${ownTarget} accept
    drop
  }
  chain neighbor_advert {
    ${ownTarget} goto own_neighbor_advert
    drop
  }
  chain own_neighbor_advert {
    ${own} ip6 length 24 accept
    ${own} ip6 length 32 ${ownOption} accept
    drop
  }`;
}
