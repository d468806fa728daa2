import type { Names } from "./names.ts";
import type { ElementTable } from "./nft-elements.ts";
import { type Table, tableOf } from "./tables.ts";

const NAME = "n0stack-groups";
/** Part of the comment of the tables. Tables of another version are replaced, and keep what is in them. */
const VERSION = "1";

/** Which port has which combination of groups. */
export const PORTS: ElementTable = { family: "bridge", table: NAME };
/** The combinations and their rules, and the members of groups. */
export const RULES: ElementTable = { family: "inet", table: NAME };

/**
 * Tells the other table to which port a frame goes. That is all that the bridge knows and the other hooks do not:
 * an address names who sends, because of the filters (ADR 60), but a frame to all names nobody.
 */
const PORTS_BODY = `
  map ports { type ifname : mark; }
  chain forwarded {
    type filter hook forward priority filter; policy accept;
    meta mark set oifname map @ports
  }`;

/**
 * Judges each packet that the namespace forwards, also from one port of its bridge to another (br_netfilter).
 *
 * A packet is judged by the first packet of its connection (`ct original`), so that both directions get the same
 * answer: what its sender may send, and what its receiver may get. A connection that has passed bears the mark
 * that was current. Each change of the rules makes another mark current, so the next packet is judged again, in
 * whichever direction it goes.
 *
 * The chains of a combination end with a verdict, or return for what they let pass. They drop
 * packets without a connection. Neighbor discovery has none, and is checked by the filters.
 */
const RULES_BODY = `
  set notes { type mark; }
  set current { type mark; }
  map stamp { type nf_proto : mark; }
  map combinations { type mark : verdict; }
  map in4 { type ipv4_addr : verdict; }
  map in6 { type ipv6_addr : verdict; }
  map out4 { type ipv4_addr : verdict; }
  map out6 { type ipv6_addr : verdict; }
  chain forwarded {
    type filter hook forward priority filter; policy accept;
    ct state established,related ct mark @current accept
    ct state untracked icmpv6 type { 130-137, 143 } accept
    ct state invalid,untracked goto no_connection
    jump sender
    jump receiver
    ct mark set meta nfproto map @stamp
  }
  chain sender {
    ct original ip saddr vmap @out4
    ct original ip6 saddr vmap @out6
  }
  chain receiver {
    ct original ip daddr vmap @in4
    ct original ip6 daddr vmap @in6
    meta mark vmap @combinations
  }
  chain no_connection {
    ip saddr vmap @out4
    ip6 saddr vmap @out6
    ip daddr vmap @in4
    ip6 daddr vmap @in6
    meta mark vmap @combinations
  }`;

export function portsTable(names: Names): Table {
  return tableOf(names, "bridge", NAME, "groups", VERSION, PORTS_BODY);
}

export function rulesTable(names: Names): Table {
  return tableOf(names, "inet", NAME, "groups", VERSION, RULES_BODY);
}
