import { formatAddress } from "../../../util/cidr.ts";
import { parseLinkMark } from "../link-mark.ts";
import type { PartState } from "../network-survey.ts";
import { familyOf } from "../port-identity.ts";
import { numberOf, withoutElements } from "./filter-elements.ts";
import { EXTERNAL_DEVICE, type Names, SEGMENT_DEVICE } from "./names.ts";
import { inNamespace } from "./namespace.ts";
import { addressBytes } from "./neighbours.ts";
import { commentIn, nft } from "./nft.ts";
import { type ElementTable, hasElement } from "./nft-elements.ts";
import { applyTable, listingOf, stateOfListing, type Table, tableOf } from "./tables.ts";

const TABLE = "n0stack-sharing";
const FINDING: ElementTable = { family: "bridge", table: TABLE };
const VERSION = "1";
/** Of a frame that goes to other nodes too. */
const MARK = "0x6e307368";
const MANY = "meta pkttype { broadcast, multicast }";

/**
 * Finds the frames about shared addresses: who asks for one, and who says that he has it now. Those of a guest have
 * passed its filter. A frame of another node stays here: it has been there, and on the VLAN of the network.
 */
function findingTable(names: Names): Table {
  const body = `
  set ipv4 { typeof arp daddr ip; }
  set targets { typeof @th,64,128; }
  chain input {
    type filter hook input priority filter; policy accept;
    iifname { "${SEGMENT_DEVICE}", "${EXTERNAL_DEVICE}" } accept
    ${MANY} arp daddr ip @ipv4 meta mark set ${MARK}
    ${MANY} icmpv6 type { 135, 136 } @th,64,128 @targets meta mark set ${MARK}
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname "${SEGMENT_DEVICE}" oifname "${EXTERNAL_DEVICE}" ${MANY} drop
  }`;
  return tableOf(names, "bridge", TABLE, "sharing", VERSION, body);
}

function elementsText(addresses: readonly string[]): string {
  const lines = addresses.map((address) => {
    const value =
      familyOf(address) === 4 ? `ipv4 { ${address} }` : `targets { ${numberOf(address)} }`;
    return `add element bridge ${TABLE} ${value}\n`;
  });
  return lines.join("");
}

/** Sends a copy of each frame that was found to the other nodes. The bridge would not flood it (`neigh_suppress`). */
function copyingTable(names: Names, from: string, to: string): Table {
  const body = `
  chain copy {
    type filter hook ingress device "${from}" priority filter; policy accept;
    meta mark ${MARK} dup to "${to}"
  }`;
  return tableOf(names, "netdev", TABLE, "sharing", VERSION, body);
}

/** As nft lists it. It can be made only where its devices are, so it is made with a device that every namespace has. */
function copyingListing(names: Names, bridge: string): string {
  const listing = listingOf(copyingTable(names, "lo", "lo"));
  return listing
    .replace('device "lo"', `device "${bridge}"`)
    .replace('dup to "lo"', `dup to "${SEGMENT_DEVICE}"`);
}

/** Whether guests of several nodes may have the address (ADR 67). Costs the same however many there are. */
export async function isSharedByNodes(path: string, address: string): Promise<boolean> {
  const key = addressBytes(address);
  return await hasElement(path, FINDING, key.length === 4 ? "ipv4" : "targets", key);
}

export interface Sharing {
  readonly state: PartState;
  readonly addresses: readonly string[];
}

/** What the tables do. `altered`: something else than they should. */
export function readSharing(names: Names, networkName: string): Sharing {
  const { finding, copying } = inNamespace(names.netnsPath(networkName), () => ({
    finding: listTable("bridge"),
    copying: listTable("netdev"),
  }));
  if (finding === undefined && copying === undefined) return { state: "absent", addresses: [] };
  const addresses = addressesIn(finding ?? "");
  const rules = finding === undefined ? undefined : withoutElements(finding);
  const state = stateOfListing(names, findingTable(names), rules);
  const isCopied = copying === copyingListing(names, names.bridge(networkName));
  return { state: state === "whole" && isCopied ? "whole" : "altered", addresses };
}

/** Makes the tables for these addresses, or removes them without addresses. The VXLAN device is there. */
export function applySharing(
  names: Names,
  networkName: string,
  addresses: readonly string[],
): void {
  if (addresses.length === 0) return removeSharing(names, networkName);
  const { state, addresses: found } = readSharing(names, networkName);
  if (state === "whole" && found.join() === addresses.join()) return;
  const finding = findingTable(names);
  const filled = { ...finding, text: `${finding.text}${elementsText(addresses)}` };
  const copying = copyingTable(names, names.bridge(networkName), SEGMENT_DEVICE);
  inNamespace(names.netnsPath(networkName), () => {
    applyTable(names, filled, { isForced: true });
    applyTable(names, copying, { isForced: true });
  });
}

export function removeSharing(names: Names, networkName: string): void {
  inNamespace(names.netnsPath(networkName), () => {
    for (const family of ["netdev", "bridge"] as const) {
      const mark = parseLinkMark(names.prefix, commentIn(listTable(family) ?? ""));
      if (mark !== undefined) nft(`delete table ${family} ${TABLE}`);
    }
  });
}

function listTable(family: "bridge" | "netdev"): string | undefined {
  try {
    return nft(`list table ${family} ${TABLE}`);
  } catch (error) {
    if (error instanceof Error && error.message.includes("No such file or directory")) {
      return undefined;
    }
    throw error;
  }
}

const SET = /\n\tset (\w+) \{[^{}]*?\n\t\telements = \{([^}]*)\}/g;

function addressesIn(listing: string): string[] {
  const found = [...listing.matchAll(SET)].flatMap(([, set, list = ""]) =>
    list.split(",").map((item) => {
      const text = item.trim();
      return set === "targets" ? formatAddress(BigInt(text), 6) : text;
    }),
  );
  return found.sort();
}
