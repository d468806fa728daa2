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

/** What guests may reach although it is on their node or in the networks of the node. */
export interface WallOpenings {
  /** IPv4 addresses that guests may reach at port 53, even if they are the node's. */
  readonly nameservers: readonly Cidr[];
  /** CIDRs in the networks of the node. Never opens the node itself. */
  readonly destinations: readonly Cidr[];
}

/** Matches the uplinks of every instance, since no instance may reach into another one either. */
const FROM_UPLINK = `meta iifgroup & ${GROUP_MASK} == ${GROUP_HEAD}`;
const TO_UPLINK = `meta oifgroup & ${GROUP_MASK} == ${GROUP_HEAD}`;
const TO_OTHERS = `meta oifgroup & ${GROUP_MASK} != ${GROUP_HEAD}`;
/** The name of the set in the table. */
const CLOSED_SET = "closed";

/**
 * The rules in the node's own namespace. Guests reach the internet with the address of the node, nobody there
 * can open a connection to a guest, and no network reaches another one. From a guest the node accepts only
 * replies to its own connections. Of `closed`, the networks of the node, guests reach only the opened
 * destinations.
 *
 * A packet passes the wall before the rules of others change its destination, and again after that. The wall
 * applies only to the uplinks of this instance, so it does not close what another instance opens.
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

/** The wall's closed destinations on a node that is in these networks. */
export function closedFor(ownNetworks: readonly Cidr[], transitPool: string): readonly Cidr[] {
  return disjoint([...NO_DESTINATIONS[4], parseBlock(transitPool)!, ...ownNetworks]);
}

/** Whether the wall keeps guests from this nameserver. */
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

/** The closed destinations of a table, from nft's listing. */
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
