import { shortDigest } from "../../../util/security-rule.ts";
import type { Combination } from "./group-chains.ts";
import {
  type FoundGroups,
  GENERATION_NOTE,
  type GroupElement,
  groupsIn,
} from "./group-elements.ts";
import { chainLines, setText } from "./group-script.ts";
import { PORTS, RULES } from "./group-table.ts";
import { inScratchNamespace } from "./namespace.ts";
import { nft } from "./nft.ts";

/** In the namespace of the thread. */
export function readGroups(): FoundGroups {
  return groupsIn(listTable("bridge"), listTable("inet"));
}

export function listTable(family: "inet" | "bridge"): string | undefined {
  try {
    return nft(`list table ${family} ${RULES.table}`);
  } catch (error) {
    if (error instanceof Error && error.message.includes("No such file or directory")) {
      return undefined;
    }
    throw error;
  }
}

export interface CombinationNote {
  readonly id: string;
  readonly rules: string;
  readonly listing: string;
  readonly groups: readonly string[];
}

/** The comment of a combination: the digests of its rules, of its chains as nft lists them, and of its groups. */
export function combinationNotes({ elements }: FoundGroups): CombinationNote[] {
  return elements.flatMap(({ set, key, comment = "" }) => {
    if (set !== "combinations") return [];
    const [rules = "", listing = "", ...groups] = comment.split(" ");
    return [{ id: key, rules, listing, groups }];
  });
}

export function remoteElements({ elements }: FoundGroups): GroupElement[] {
  return elements.filter(({ set }) => /^m[46]_/.test(set));
}

export function elementsOfTap({ elements }: FoundGroups, tapName: string): GroupElement[] {
  return elements.filter((one) => tapsOf(one).includes(tapName));
}

export function generationIn({ elements }: FoundGroups): bigint | undefined {
  const note = elements.find(({ set, key }) => set === "notes" && key === GENERATION_NOTE);
  return note?.comment === undefined ? undefined : BigInt(note.comment);
}

/** Several have it if they share its address. */
export function tapsOf({ of, set, key, comment = "" }: GroupElement): string[] {
  if (of === PORTS) return [key];
  return /^(in[46]|out[46]|l[46]_.*)$/.test(set) ? comment.split(" ").filter(Boolean) : [];
}

/** What stays of elements when these taps have gone: those that others have too. */
export function withoutTaps(
  elements: Iterable<GroupElement>,
  tapNames: readonly string[],
): GroupElement[] {
  return [...elements].flatMap((one) => {
    const others = tapsOf(one).filter((tapName) => !tapNames.includes(tapName));
    return others.length === 0 ? [] : [{ ...one, comment: others.join(" ") }];
  });
}

/** The digest of the chains of the combination as nft lists them, which differs from their source. */
export function listingOfChains(combination: Combination): string {
  const table = `${RULES.family} ${RULES.table}`;
  const known = digests.get(combination.id + combination.rules);
  if (known !== undefined) return known;
  const listing = inScratchNamespace(() => {
    nft(
      `add table ${table}\n${combination.sets.map(setText).join("")}${chainLines(combination, table).join("")}`,
    );
    return nft(`list table ${table}`);
  });
  const digest = digestOfChains(combination.id, groupsIn(undefined, listing));
  if (digests.size >= DIGESTS_MAX) digests.clear();
  digests.set(combination.id + combination.rules, digest);
  return digest;
}

const DIGESTS_MAX = 256;
const digests = new Map<string, string>();

export function digestOfChains(id: string, { blocks }: FoundGroups): string {
  return shortDigest([blocks.get(`in_${id}`), blocks.get(`out_${id}`)].join(""));
}
