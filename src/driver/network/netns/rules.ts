import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { crc32 } from "node:zlib";
import type { Cidr } from "../../../util/cidr.ts";
import { METADATA_ADDRESSES, METADATA_PORT } from "../../../util/metadata-addresses.ts";
import { parseLinkMark } from "../link-mark.ts";
import type { PartState } from "../network-survey.ts";
import { type Context, leavesNode } from "./context.ts";
import { ensureFilterTable } from "./filters.ts";
import { ensureGroupTables } from "./groups.ts";
import { forwardIpv6, forwardIpv6Inside, forwardsIpv6, hasIpv6 } from "./ipv6-forwarding.ts";
import { type Names, UPLINK_INSIDE } from "./names.ts";
import { inNamespace } from "./namespace.ts";
import { nft, tableComment } from "./nft.ts";
import { readOwnNetworks } from "./own-networks.ts";
import { applyTable, listingOf, type Table, tableOf, tableState } from "./tables.ts";
import { closedFor, closedIn, NEIGHBORS, nodeChains, type WallOpenings } from "./wall.ts";

/** Part of the comment of the table inside of a network. A table of another version is replaced. */
const INSIDE_VERSION = "4";
const CLOSED = "-closed";
const ADDRESS_MODE = "/proc/sys/net/ipv6/conf/default/addr_gen_mode";
const INSIDE_TABLE = "n0stack";

/** The packets of guests to the outside, if their network has no NAT. The namespace itself may still ask outside. */
const NO_WAY_OUT = `
    oifname "${UPLINK_INSIDE}" reject with icmpx admin-prohibited`;

const METADATA4 = `{ ${METADATA_ADDRESSES.filter((one) => !one.includes(":")).join(", ")} }`;
const METADATA6 = METADATA_ADDRESSES.find((one) => one.includes(":"));
/** What one network may cost the agent that answers: the chain drops the rest. */
const METADATA_PASSES = `tcp dport ${METADATA_PORT} limit rate 100/second burst 500 packets accept`;

/**
 * In the namespace of a network: its guests appear as one address outside, or do not get there at all, and nothing
 * outside can connect to them. Of the namespace itself, guests reach DNS and DHCP, and are told of errors, of
 * neighbors and of echoes, and metadata. A packet to metadata never leaves, also if its address is not there: who
 * answers outside is that of the node. The namespace may open connections to guests.
 */
const insideChains = (isNatOff: boolean) => `
  chain input {
    type filter hook input priority filter; policy accept;
    iifname "lo" accept
    ct state established,related accept
    iifname "${UPLINK_INSIDE}" ${NEIGHBORS}
    iifname "${UPLINK_INSIDE}" drop
    meta l4proto { icmp, icmpv6 } accept
    udp dport { 53, 67, 547 } accept
    tcp dport 53 accept
    ip daddr ${METADATA4} ${METADATA_PASSES}
    ip6 saddr != fe80::/10 ip6 daddr ${METADATA6} ${METADATA_PASSES}
    drop
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    ip daddr ${METADATA4} drop
    ip6 daddr ${METADATA6} drop${isNatOff ? NO_WAY_OUT : ""}
    iifname "${UPLINK_INSIDE}" ct state established,related accept
    iifname "${UPLINK_INSIDE}" drop
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "${UPLINK_INSIDE}" masquerade
  }`;

/**
 * Makes the node forward packets and applies our table there, unless it is right already. Another program may
 * flush all tables at any time, and the node may join another network, so this is called whenever a tap is
 * attached. It takes 1 ms.
 *
 * @returns whether the table was missing or different.
 * @throws N0Error `failed_precondition` if a table of that name is not ours.
 */
export function ensureNodeRules(context: Context): boolean {
  forward();
  forwardGuestsIpv6(context);
  return applyTable(context.names, nodeRulesNow(context));
}

/** Like `ensureNodeRules`, also if somebody has changed the rules and left our comment. */
export function restoreNodeRules(context: Context): void {
  const isWhole = nodeRulesState(context) === "whole";
  forward();
  forwardGuestsIpv6(context);
  applyTable(context.names, nodeRulesNow(context), { isForced: !isWhole });
}

/**
 * Whether the table is as we made it. It may still close the former networks of the node, right after the node
 * joined another one. Only the comment shows whether somebody changed the table by hand.
 */
export function nodeRulesState({ names, openings }: Context): PartState {
  if (tableComment("inet", names.nodeTable) === undefined) return "absent";
  const closed = closedIn(nft(`list table inet ${names.nodeTable}`));
  // The rules follow a change of the forwarding of IPv6 within seconds.
  const isWhole = [true, false].some(
    (isIpv6Open) => stateOf(names, nodeRules(names, closed, openings, isIpv6Open)) === "whole",
  );
  return isWhole ? "whole" : "altered";
}

/** Like `prepareInside`, also if somebody has changed the rules and left our comment. */
export function restoreInside(names: Names, path: string, isNatOff: boolean): void {
  const found = insideRulesState(names, path);
  if (found.state !== "whole" || found.isNatOff !== isNatOff) {
    const rules = insideRules(names, isNatOff);
    inNamespace(path, () => applyTable(names, rules, { isForced: true }));
  }
  prepareInside(names, path, isNatOff);
}

/** The rules are whole with NAT and without it. */
export function insideRulesState(
  names: Names,
  path: string,
): { readonly state: PartState; readonly isNatOff: boolean } {
  // Before entering the namespace: the rules to compare with are made in a namespace of their own.
  const [usual, closed] = [insideRules(names, false), insideRules(names, true)];
  for (const rules of [usual, closed]) listingOf(rules);
  return inNamespace(path, () => {
    const isNatOff = tableState(names, closed) === "whole";
    const state = stateOf(names, isNatOff ? closed : usual);
    const isWhole = state !== "whole" || !hasIpv6() || forwardsIpv6();
    return { state: isWhole ? state : "altered", isNatOff };
  });
}

export function ensureNodeRulesAbsent(names: Names): void {
  const comment = tableComment("inet", names.nodeTable);
  if (parseLinkMark(names.prefix, comment) === undefined) return;
  nft(`delete table inet ${names.nodeTable}`);
}

/** Makes the rules and settings inside of a network's namespace, before anything in it is connected. */
export function prepareInside(names: Names, path: string, isNatOff: boolean): void {
  inNamespace(path, () => {
    forward();
    forwardIpv6Inside();
    // Taps and the uplink need no IPv6 address of their own. 1 means "none" (ip-sysctl in the kernel).
    if (existsSync(ADDRESS_MODE)) writeFileSync(ADDRESS_MODE, "1");
    applyTable(names, insideRules(names, isNatOff));
    ensureFilterTable(names);
    ensureGroupTables(names);
  });
}

/** The same for a network that stays as it is, of an older version. */
export function renewInside(names: Names, path: string): void {
  const comment = inNamespace(path, () => tableComment("inet", INSIDE_TABLE));
  const { transactionId = "" } = parseLinkMark(names.prefix, comment) ?? {};
  prepareInside(names, path, transactionId.endsWith(CLOSED));
}

function nodeRulesNow(context: Context): Table {
  const { names, openings, transitPool, ipv6 } = context;
  const closed = closedFor(readOwnNetworks(), transitPool);
  return nodeRules(names, closed, openings, leavesNode(ipv6));
}

/** Makes the node forward the IPv6 packets of guests, if it may and can. */
function forwardGuestsIpv6(context: Context): void {
  if (context.ipv6.isWanted) context.ipv6.obstacle = forwardIpv6();
}

/**
 * Different rules have different comments: for other settings, another network, another version of this file.
 */
function nodeRules(
  names: Names,
  closed: readonly Cidr[],
  openings: WallOpenings,
  isIpv6Open: boolean,
): Table {
  const chains = nodeChains(names, closed, openings, isIpv6Open);
  const version = crc32(chains).toString(16);
  return tableOf(names, "inet", names.nodeTable, "node", version, chains);
}

function insideRules(names: Names, isNatOff: boolean): Table {
  const version = isNatOff ? `${INSIDE_VERSION}${CLOSED}` : INSIDE_VERSION;
  return tableOf(names, "inet", INSIDE_TABLE, "inside", version, insideChains(isNatOff));
}

/** In the namespace of the thread. Without forwarding, the rules let nothing through. */
function stateOf(names: Names, rules: Table): PartState {
  const state = tableState(names, rules);
  return state === "whole" && !isForwarding() ? "altered" : state;
}

const FORWARDING = "/proc/sys/net/ipv4/ip_forward";

function isForwarding(): boolean {
  return readFileSync(FORWARDING, "utf8").trim() === "1";
}

function forward(): void {
  // Do not write it if it is set: writing it, even the same value, resets other settings of every device (see
  // ip-sysctl in the kernel).
  if (!isForwarding()) writeFileSync(FORWARDING, "1");
}
