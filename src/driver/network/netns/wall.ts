import {
  type Cidr,
  disjoint,
  type Family,
  formatCidr,
  overlaps,
  parseBlock,
} from "../../../util/cidr.ts";
import { NO_DESTINATIONS } from "../../../util/special-ranges.ts";
import { GROUP_HEAD, GROUP_MASK, type Names } from "./names.ts";
import { TRANSIT_POOL_6 } from "./transit.ts";

/** What guests may reach although it is on their node or in the networks of the node. Of both families. */
export interface WallOpenings {
  /** Addresses that guests may reach at port 53, even if they are the node's. */
  readonly nameservers: readonly Cidr[];
  /** CIDRs in the networks of the node. Never opens the node itself. */
  readonly destinations: readonly Cidr[];
}

/** Matches the uplinks of every instance, since no instance may reach into another one either. */
const FROM_UPLINK = `meta iifgroup & ${GROUP_MASK} == ${GROUP_HEAD}`;
const TO_UPLINK = `meta oifgroup & ${GROUP_MASK} == ${GROUP_HEAD}`;
const TO_OTHERS = `meta oifgroup & ${GROUP_MASK} != ${GROUP_HEAD}`;
/** The heads of the names of the sets in the table. */
const CLOSED = "closed";
const OPENED = "opened";
const NAMESERVERS = "nameservers";
const FAMILIES = [4, 6] as const;
/** The words of nft for the addresses of a family. */
const WORDS = { 4: { ip: "ip", type: "ipv4_addr" }, 6: { ip: "ip6", type: "ipv6_addr" } } as const;
const REFUSE = "reject with icmpx admin-prohibited";
/** How the ends of an uplink find each other. No router lets such packets through (RFC 4861). */
export const NEIGHBORS =
  "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255 accept";

/**
 * The rules in the node's own namespace. Guests reach the internet with the address of the node, nobody there
 * can open a connection to a guest, and no network reaches another one. From a guest the node accepts only
 * replies to its own connections. Of `closed`, the networks of the node, guests reach only the opened
 * destinations.
 *
 * A packet passes the wall before the rules of others change its destination, and again after that. The wall
 * applies only to the uplinks of this instance, so it does not close what another instance opens.
 *
 * @param isIpv6Open Whether the node forwards IPv6 of guests.
 */
export function nodeChains(
  names: Names,
  closed: readonly Cidr[],
  { nameservers, destinations }: WallOpenings,
  isIpv6Open: boolean,
): string {
  const fromOurs = `meta iifgroup ${names.group}`;
  const open = isIpv6Open ? FAMILIES : ([4] as const);
  return `
  ${setsOf(CLOSED, closed)}
  ${setsOf(OPENED, destinations)}
  ${setsOf(NAMESERVERS, nameservers)}
  chain wall {
    ct state established,related ct direction reply accept
    ${NEIGHBORS}
    ${isIpv6Open ? "" : `meta nfproto ipv6 ${REFUSE}`}
    ${open.map((family) => `ct original ${WORDS[family].ip} daddr @${NAMESERVERS}${family} meta l4proto { tcp, udp } th dport 53 accept`).join("\n    ")}
    fib daddr type != unicast ${REFUSE}
    ${open.map((family) => `${WORDS[family].ip} daddr @${OPENED}${family} accept`).join("\n    ")}
    ${open.map((family) => `${WORDS[family].ip} daddr @${CLOSED}${family} ${REFUSE}`).join("\n    ")}
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
  const transit = [parseBlock(transitPool)!, TRANSIT_POOL_6];
  return FAMILIES.flatMap((family) =>
    ofFamily([...NO_DESTINATIONS[family], ...transit, ...ownNetworks], family),
  );
}

/** Whether the wall keeps guests from this nameserver. */
export function isClosedNameserver(
  text: string,
  closed: readonly Cidr[],
  { nameservers, destinations }: WallOpenings,
  isIpv6Open: boolean,
): boolean {
  const one = parseBlock(text);
  if (one === undefined) return false;
  if (one.family === 6 && !isIpv6Open) return true;
  const isIn = (cidrs: readonly Cidr[]) => cidrs.some((cidr) => overlaps(cidr, one));
  return isIn(closed) && !isIn(nameservers) && !isIn(destinations);
}

/** The closed destinations of a table, from nft's listing. */
export function closedIn(listing: string): readonly Cidr[] {
  return FAMILIES.flatMap((family) => {
    const set = new RegExp(`set ${CLOSED}${family} {[^}]*elements = {([^}]*)}`).exec(listing)?.[1];
    const found = (set ?? "").split(",").flatMap((text) => parseBlock(text.trim()) ?? []);
    return ofFamily(found, family);
  });
}

/** A set for each family, whose name ends in its number. */
function setsOf(name: string, cidrs: readonly Cidr[]): string {
  const sets = FAMILIES.map((family) => {
    const elements = ofFamily(cidrs, family).map(formatCidr).join(", ");
    const filled = elements === "" ? "" : `elements = { ${elements} }\n  `;
    const { type } = WORDS[family];
    return `set ${name}${family} {\n    type ${type}\n    flags interval\n    ${filled}}`;
  });
  return sets.join("\n  ");
}

function ofFamily(cidrs: readonly Cidr[], family: Family): readonly Cidr[] {
  return disjoint(cidrs.filter((cidr) => cidr.family === family));
}
