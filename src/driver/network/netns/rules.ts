import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { crc32 } from "node:zlib";
import type { Cidr } from "../../../util/cidr.ts";
import { N0Error } from "../../../util/errors.ts";
import { formatLinkMark, parseLinkMark } from "../link-mark.ts";
import type { PartState } from "../network-survey.ts";
import type { Context } from "./context.ts";
import { type Names, UPLINK_INSIDE } from "./names.ts";
import { inNamespace, inScratchNamespace } from "./namespace.ts";
import { nft, tableComment } from "./nft.ts";
import { readOwnNetworks } from "./own-networks.ts";
import { closedFor, closedIn, nodeChains, type WallOpenings } from "./wall.ts";

/** Part of the comment of the table inside: one of another version is replaced. */
const INSIDE_VERSION = "1";
const ADDRESS_MODE = "/proc/sys/net/ipv6/conf/default/addr_gen_mode";
const INSIDE_TABLE = "n0stack";
/** Only the node's rules change, with the networks that it is in. */
const LISTINGS_MAX = 16;

/** In a Network's namespace: its guests look out as one address, and nothing looks in. */
const INSIDE_CHAINS = `
  chain input {
    type filter hook input priority filter; policy accept;
    iifname "${UPLINK_INSIDE}" ct state established,related accept
    iifname "${UPLINK_INSIDE}" drop
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname "${UPLINK_INSIDE}" ct state established,related accept
    iifname "${UPLINK_INSIDE}" drop
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "${UPLINK_INSIDE}" masquerade
  }`;

/**
 * Makes the node forward and applies our table there, if it is not as it should be: another program may
 * flush all tables at any time, and the node may come into another network. So this is called whenever a
 * tap is attached; it takes 1 ms.
 *
 * @returns whether the table was not there, or another one.
 * @throws N0Error `failed_precondition` if a table of that name is not ours.
 */
export function ensureNodeRules(context: Context): boolean {
  forward();
  return applyTable(context.names, nodeRulesNow(context));
}

/** As `ensureNodeRules`, also where somebody has changed the rules and left our comment. */
export function restoreNodeRules(context: Context): void {
  const isWhole = nodeRulesState(context) === "whole";
  applyTable(context.names, nodeRulesNow(context), !isWhole);
  forward();
}

/**
 * Whether the table is as we made it. What it closes may be what was right a moment ago, before the node came
 * into another network: the comment tells whether it was changed by hand.
 */
export function nodeRulesState({ names, openings }: Context): PartState {
  if (tableComment("inet", names.nodeTable) === undefined) return "absent";
  const closed = closedIn(nft(`list table inet ${names.nodeTable}`));
  return stateOf(names, nodeRules(names, closed, openings));
}

/** As `prepareInside`, also where somebody has changed the rules and left our comment. */
export function restoreInside(names: Names, path: string): void {
  const isWhole = insideRulesState(names, path) === "whole";
  if (!isWhole) inNamespace(path, () => applyTable(names, insideRules(names), true));
  prepareInside(names, path);
}

export function insideRulesState(names: Names, path: string): PartState {
  // Before going there: what is compared with is made in a namespace of its own.
  const rules = insideRules(names);
  listingOf(rules);
  return inNamespace(path, () => stateOf(names, rules));
}

export function ensureNodeRulesAbsent(names: Names): void {
  const comment = tableComment("inet", names.nodeTable);
  if (parseLinkMark(names.prefix, comment) === undefined) return;
  nft(`delete table inet ${names.nodeTable}`);
}

/** Rules and settings inside a Network's namespace, before anything in it is connected. */
export function prepareInside(names: Names, path: string): void {
  inNamespace(path, () => {
    forward();
    // Taps and the uplink need no IPv6 address of their own; 1 is "none" (ip-sysctl in the kernel).
    if (existsSync(ADDRESS_MODE)) writeFileSync(ADDRESS_MODE, "1");
    applyTable(names, insideRules(names));
  });
}

interface Rules {
  readonly table: string;
  /** The comment. */
  readonly mark: string;
  /** In nft's own language. */
  readonly text: string;
}

function nodeRulesNow({ names, openings, transitPool }: Context): Rules {
  return nodeRules(names, closedFor(readOwnNetworks(), transitPool), openings);
}

/** Rules that differ have comments that differ: other settings, another network, another version of this. */
function nodeRules(names: Names, closed: readonly Cidr[], openings: WallOpenings): Rules {
  const chains = nodeChains(names, closed, openings);
  return rulesOf(names, names.nodeTable, "node", crc32(chains).toString(16), chains);
}

function insideRules(names: Names): Rules {
  return rulesOf(names, INSIDE_TABLE, "inside", INSIDE_VERSION, INSIDE_CHAINS);
}

function rulesOf(
  { prefix }: Names,
  table: string,
  owner: string,
  version: string,
  chains: string,
): Rules {
  const mark = formatLinkMark(prefix, { owner, transactionId: version });
  return { table, mark, text: `table inet ${table} {\n  comment "${mark}"${chains}\n}\n` };
}

/** Of the namespace that the thread is in. Without forwarding, rules let nothing through. */
function stateOf(names: Names, rules: Rules): PartState {
  const comment = tableComment("inet", rules.table);
  if (comment === undefined) return "absent";
  if (parseLinkMark(names.prefix, comment) === undefined) return "absent";
  const isSame = nft(`list table inet ${rules.table}`) === listingOf(rules);
  return isSame && isForwarding() ? "whole" : "altered";
}

const listings = new Map<string, string>();

/** How nft prints the rules, which is not how they are written: found out once, where nobody sees it. */
function listingOf({ text, table }: Rules): string {
  const known = listings.get(text);
  if (known !== undefined) return known;
  const listing = inScratchNamespace(() => {
    nft(text);
    return nft(`list table inet ${table}`);
  });
  if (listings.size >= LISTINGS_MAX) listings.clear();
  listings.set(text, listing);
  return listing;
}

function applyTable(names: Names, { table, mark, text }: Rules, isForced = false): boolean {
  const comment = tableComment("inet", table);
  if (comment === mark && !isForced) return false;
  if (comment !== undefined && parseLinkMark(names.prefix, comment) === undefined) {
    throw new N0Error(
      "failed_precondition",
      `the node has an nft table "${table}" that n0stack did not make: rename or remove it`,
    );
  }
  // One transaction, so there is never a moment without rules.
  const replaced = comment === undefined ? "" : `delete table inet ${table}\n`;
  nft(`${replaced}${text}`);
  return true;
}

const FORWARDING = "/proc/sys/net/ipv4/ip_forward";

function isForwarding(): boolean {
  return readFileSync(FORWARDING, "utf8").trim() === "1";
}

function forward(): void {
  // Writing it, even the same, resets other settings of every device (see ip-sysctl in the kernel).
  if (!isForwarding()) writeFileSync(FORWARDING, "1");
}
