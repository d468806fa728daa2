import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { N0Error } from "../../../util/errors.ts";
import { formatLinkMark, parseLinkMark } from "../link-mark.ts";
import { GROUP_HEAD, GROUP_MASK, type Names, UPLINK_INSIDE } from "./names.ts";
import { inNamespace } from "./namespace.ts";
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
  applyTable(names, names.nodeTable, "node", nodeChains());
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
    applyTable(names, INSIDE_TABLE, "inside", INSIDE_CHAINS);
  });
}

function applyTable(names: Names, table: string, owner: string, chains: string): void {
  const mark = formatLinkMark(names.prefix, { owner, transactionId: RULES_VERSION });
  const comment = tableComment("inet", table);
  if (comment === mark) return;
  if (comment !== undefined && parseLinkMark(names.prefix, comment) === undefined) {
    throw new N0Error(
      "failed_precondition",
      `the node has an nft table "${table}" that n0stack did not make: rename or remove it`,
    );
  }
  // One transaction, so there is never a moment without rules.
  const replaced = comment === undefined ? "" : `delete table inet ${table}\n`;
  nft(`${replaced}table inet ${table} {\n  comment "${mark}"${chains}\n}\n`);
}

function forward(): void {
  const path = "/proc/sys/net/ipv4/ip_forward";
  // Writing it, even the same, resets other settings of every device (see ip-sysctl in the kernel).
  if (readFileSync(path, "utf8").trim() !== "1") writeFileSync(path, "1");
}
