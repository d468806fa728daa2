import {
  type Cidr,
  contains,
  disjoint,
  formatCidr,
  parseAddress,
  parseBlock,
} from "../../../util/cidr.ts";
import { NO_DESTINATIONS } from "../../../util/special-ranges.ts";
import { GROUP_HEAD, GROUP_MASK, type Names } from "./names.ts";

/** What guests may reach although it lies on their node or in its networks. */
export interface WallOpenings {
  /** IPv4 addresses that may be asked at port 53, also if they are the node's. */
  readonly nameservers: readonly Cidr[];
  /** Never the node itself. */
  readonly destinations: readonly Cidr[];
}

/** Matches the uplinks of every instance, for no instance may reach into another either. */
const FROM_UPLINK = `meta iifgroup & ${GROUP_MASK} == ${GROUP_HEAD}`;
const TO_UPLINK = `meta oifgroup & ${GROUP_MASK} == ${GROUP_HEAD}`;
const TO_OTHERS = `meta oifgroup & ${GROUP_MASK} != ${GROUP_HEAD}`;
/** The name of the set in the table. */
const CLOSED_SET = "closed";

/**
 * In the node's own namespace: guests reach the world as the node, nobody begins a connection to
 * them from there, and no Network reaches another. Of the node guests reach nothing but its answers to
 * what it began, and of `closed`, its networks, nothing but what is opened.
 *
 * A packet meets the wall before anybody's rules change its destination, and again after that. The wall is
 * for this instance's uplinks alone: what one instance opens, another does not close.
 */
export function nodeChains(
  names: Names,
  closed: readonly Cidr[],
  { nameservers, destinations }: WallOpenings,
): string {
  const fromOurs = `meta iifgroup ${names.group}`;
  return `
  ${setOf(CLOSED_SET, closed)}
  ${setOf("opened", disjoint(destinations))}
  ${setOf("nameservers", disjoint(nameservers))}
  chain wall {
    ct state established,related ct direction reply accept
    meta nfproto ipv6 drop
    ct original ip daddr @nameservers meta l4proto { tcp, udp } th dport 53 accept
    fib daddr type != unicast reject with icmpx admin-prohibited
    ip daddr @opened accept
    ip daddr @${CLOSED_SET} reject with icmpx admin-prohibited
  }
  chain prerouting {
    type filter hook prerouting priority mangle; policy accept;
    ${fromOurs} jump wall
  }
  chain input {
    type filter hook input priority filter; policy accept;
    ${fromOurs} jump wall
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    ${FROM_UPLINK} ${TO_UPLINK} drop
    ${TO_UPLINK} ct state established,related accept
    ${TO_UPLINK} drop
    ${fromOurs} jump wall
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ${FROM_UPLINK} ${TO_OTHERS} masquerade
  }`;
}

/** What the wall closes on a node that is in these networks. */
export function closedFor(ownNetworks: readonly Cidr[], transitPool: string): readonly Cidr[] {
  return disjoint([...NO_DESTINATIONS[4], parseBlock(transitPool)!, ...ownNetworks]);
}

/** Whether the wall lets no guest ask there. */
export function isClosedNameserver(
  address: string,
  closed: readonly Cidr[],
  { nameservers, destinations }: WallOpenings,
): boolean {
  const value = parseAddress(address, 4);
  if (value === undefined) return false;
  const isIn = (cidrs: readonly Cidr[]) => cidrs.some((cidr) => contains(cidr, value));
  return isIn(closed) && !isIn(nameservers) && !isIn(destinations);
}

/** What is closed in a table as nft lists it. */
export function closedIn(listing: string): readonly Cidr[] {
  const elements = new RegExp(`set ${CLOSED_SET} {[^}]*elements = {([^}]*)}`).exec(listing)?.[1];
  const closed = (elements ?? "").split(",").flatMap((text) => parseBlock(text.trim()) ?? []);
  return disjoint(closed);
}

function setOf(name: string, cidrs: readonly Cidr[]): string {
  const elements = cidrs.map(formatCidr).join(", ");
  const filled = elements === "" ? "" : `elements = { ${elements} }\n  `;
  return `set ${name} {\n    type ipv4_addr\n    flags interval\n    ${filled}}`;
}
