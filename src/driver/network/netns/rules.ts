import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { N0Error } from "../../../util/errors.ts";
import { formatLinkMark, parseLinkMark } from "../link-mark.ts";
import type { PartState } from "../network-survey.ts";
import { GROUP_HEAD, GROUP_MASK, type Names, UPLINK_INSIDE } from "./names.ts";
import { inNamespace, inScratchNamespace } from "./namespace.ts";
import { nft, tableComment } from "./nft.ts";

/** Part of the comment of a table: one of another version is replaced. */
const RULES_VERSION = "1";
const ADDRESS_MODE = "/proc/sys/net/ipv6/conf/default/addr_gen_mode";
const INSIDE_TABLE = "n0stack";

/** Matches the uplinks of every instance, for no instance may reach into another either. */
const FROM_UPLINK = `meta iifgroup & ${GROUP_MASK} == ${GROUP_HEAD}`;
const TO_UPLINK = `meta oifgroup & ${GROUP_MASK} == ${GROUP_HEAD}`;
const TO_OTHERS = `meta oifgroup & ${GROUP_MASK} != ${GROUP_HEAD}`;

/**
 * In the node's own namespace: guests reach the world as the node, nobody begins a connection to
 * them from there, and no Network reaches another. What listens on the node's loopback alone stays
 * alone, even where somebody has switched on `route_localnet`.
 */
function nodeChains(): string {
  return `
  chain input {
    type filter hook input priority filter; policy accept;
    ${FROM_UPLINK} ip daddr 127.0.0.0/8 drop
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    ${FROM_UPLINK} ${TO_UPLINK} drop
    ${TO_UPLINK} ct state established,related accept
    ${TO_UPLINK} drop
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ${FROM_UPLINK} ${TO_OTHERS} masquerade
  }`;
}

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
 * Makes the node forward and applies our table there, if it is not as it should be. Another program may
 * flush all tables at any time, so this is called whenever a tap is attached; it takes 0.3 ms.
 *
 * @throws N0Error `failed_precondition` if a table of that name is not ours.
 */
export function ensureNodeRules(names: Names): void {
  forward();
  applyTable(names, nodeRules(names));
}

/** As `ensureNodeRules`, also where somebody has changed the rules and left our comment. */
export function restoreNodeRules(names: Names): void {
  if (nodeRulesState(names) !== "whole") applyTable(names, nodeRules(names), true);
  forward();
}

export function nodeRulesState(names: Names): PartState {
  return stateOf(names, nodeRules(names));
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

function nodeRules(names: Names): Rules {
  return rulesOf(names, names.nodeTable, "node", nodeChains());
}

function insideRules(names: Names): Rules {
  return rulesOf(names, INSIDE_TABLE, "inside", INSIDE_CHAINS);
}

function rulesOf({ prefix }: Names, table: string, owner: string, chains: string): Rules {
  const mark = formatLinkMark(prefix, { owner, transactionId: RULES_VERSION });
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
  listings.set(text, listing);
  return listing;
}

function applyTable(names: Names, { table, mark, text }: Rules, isForced = false): void {
  const comment = tableComment("inet", table);
  if (comment === mark && !isForced) return;
  if (comment !== undefined && parseLinkMark(names.prefix, comment) === undefined) {
    throw new N0Error(
      "failed_precondition",
      `the node has an nft table "${table}" that n0stack did not make: rename or remove it`,
    );
  }
  // One transaction, so there is never a moment without rules.
  const replaced = comment === undefined ? "" : `delete table inet ${table}\n`;
  nft(`${replaced}${text}`);
}

const FORWARDING = "/proc/sys/net/ipv4/ip_forward";

function isForwarding(): boolean {
  return readFileSync(FORWARDING, "utf8").trim() === "1";
}

function forward(): void {
  // Writing it, even the same, resets other settings of every device (see ip-sysctl in the kernel).
  if (!isForwarding()) writeFileSync(FORWARDING, "1");
}
