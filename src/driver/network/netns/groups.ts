import { randomBytes } from "node:crypto";
import { shortDigest } from "../../../util/security-rule.ts";
import { asOwn, type PortIdentity } from "../port-identity.ts";
import type { GroupsOfNetwork, NicGroups } from "../security-groups.ts";
import type { Context } from "./context.ts";
import { portKey } from "./filter-elements.ts";
import { type Combination, combinationOf } from "./group-chains.ts";
import {
  combinationLines,
  combinationsOfPorts,
  differenceLines,
  memberElementsOf,
  membershipLines,
  noteText,
  placeText,
  pruneLines,
  setLines,
} from "./group-changes.ts";
import {
  elementChange,
  elementText,
  type FoundGroups,
  type GroupElement,
  keyOf,
  markBytes,
  newMarkChanges,
  newMarkText,
  ownerElements,
  portElements,
} from "./group-elements.ts";
import {
  combinationNotes,
  elementsOfTap,
  generationIn,
  listingOfChains,
  listTable,
  readGroups,
  remoteElements,
  tapsOf,
  withoutTaps,
} from "./group-listing.ts";
import { PORTS, portsTable, RULES, rulesTable } from "./group-table.ts";
import type { Names } from "./names.ts";
import { inNamespace } from "./namespace.ts";
import { nft } from "./nft.ts";
import { changeElements, elementComment, marksIn, type TableChange } from "./nft-elements.ts";
import { isDone, orUndefined } from "./nft-outcome.ts";
import { applyTable } from "./tables.ts";

/** In the namespace of the thread. Tables of another version keep what is in them. @returns whether it changed one. */
export function ensureGroupTables(names: Names, isForced = false): boolean {
  const changed = [portsTable(names), rulesTable(names)].filter((table) =>
    applyTable(names, table, {
      isForced,
      elements: () => contentOf(table.family === "bridge" ? "bridge" : "inet"),
    }),
  );
  return changed.length > 0;
}

/** Everything in the table but its own chains, as a script. */
function contentOf(family: "inet" | "bridge"): string {
  const listing = listTable(family) ?? "";
  const own = /^\tchain (?!in_|out_)(\S+) \{\n[\s\S]*?^\t\}\n?/gm;
  return listing.replaceAll(own, "").replace(/^\tcomment .*\n/m, "");
}

export interface GroupedPort {
  readonly tapName: string;
  readonly identity: PortIdentity;
  readonly groups: NicGroups;
}

/**
 * Gives the tap these groups, in one transaction of nft. The tap may still be on its way. A new tap costs the same
 * however many there are, if its combination of groups is there with these rules.
 *
 * @returns false, without a change, if the node must be told the members of groups on other nodes first.
 */
export async function ensureGroups(
  { names }: Context,
  networkName: string,
  { tapName, identity, groups }: GroupedPort,
): Promise<boolean> {
  const path = names.netnsPath(networkName);
  const wanted = combinationOf(networkName, groups);
  const noted = await findComment(path, RULES, "combinations", markBytes(wanted.id));
  if (noted?.split(" ")[0] === wanted.rules) {
    const changes = portElements(tapName, asOwn(identity), wanted).map((one) =>
      elementChange("create", one),
    );
    if (await isDone(changeElements(path, changes))) return true;
  }
  const listing = listingOfChains(wanted);
  return inNamespace(path, () => {
    ensureGroupTables(names);
    const found = readGroups();
    if (generationIn(found) === undefined) return false;
    const { before, after } = changeOf(found, { tapName, identity, groups }, wanted);
    const kept = found.elements.filter((one) => !before.has(one));
    const lines = [
      ...combinationLines(wanted, listing, found, false),
      ...setLines(after),
      ...differenceLines([...before], after),
      ...pruneLines({ ...found, elements: [...kept, ...after] }, [wanted]),
    ];
    nft(`${lines.join("")}${newMarkText(newMark())}`);
    return true;
  });
}

/** The elements that change when a tap gets its groups, and what they are then. */
function changeOf(
  found: FoundGroups,
  { tapName, identity }: GroupedPort,
  wanted: Combination,
): { readonly before: ReadonlySet<GroupElement>; readonly after: readonly GroupElement[] } {
  const port = portElements(tapName, asOwn(identity), wanted);
  const places = new Set(port.map(placeText));
  const there = found.elements.filter((one) => places.has(placeText(one)));
  const shared = new Set(identity.allowedAddresses);
  const tapsAt = new Map(there.map((one) => [placeText(one), tapsOf(one)]));
  const after = port.map((one) => {
    // Any other address that another tap has had is this one's, and the removal of that tap has not reached it yet.
    const others = shared.has(one.key) ? (tapsAt.get(placeText(one)) ?? []) : [];
    return others.length === 0
      ? one
      : { ...one, comment: [...new Set([...others, tapName])].sort().join(" ") };
  });
  const own = elementsOfTap(found, tapName);
  const given = own.filter((one) => !places.has(placeText(one)));
  return {
    before: new Set([...own, ...there]),
    after: [...after, ...withoutTaps(given, [tapName])],
  };
}

/**
 * What takes its groups from a tap, without reading those of others; nothing for a tap without groups. Undefined
 * if that is not known.
 *
 * @param identity whose elements the tap has.
 */
export async function groupRemovals(
  path: string,
  tapName: string,
  identity: PortIdentity,
): Promise<readonly TableChange[] | undefined> {
  const noted = await findComment(path, PORTS, "ports", portKey(tapName));
  if (noted === undefined) return [];
  const elements = portElements(tapName, identity, {
    id: "",
    groups: noted.split(" ").filter(Boolean),
  });
  // Another tap may have got one of the addresses.
  for (const { of, set, key } of ownerElements(elements)) {
    if ((await findComment(path, of, set, keyOf(set, key))) !== tapName) return undefined;
  }
  return elements.map((one) => elementChange("delete", one));
}

/** Whether a combination is there that nobody but these taps has. True also if that is not known. */
export async function haveTheirOwn(path: string, tapNames: readonly string[]): Promise<boolean> {
  const marks = await marksIn(path, PORTS, "ports");
  if (marks === undefined) return true;
  const kept = new Set([...marks].flatMap(([tap, mark]) => (tapNames.includes(tap) ? [] : [mark])));
  return tapNames.some((tap) => marks.has(tap) && !kept.has(marks.get(tap)!));
}

/** After a removal. */
export function judgeAgain(): readonly TableChange[] {
  return newMarkChanges(newMark());
}

/** In the namespace of the thread: takes from these taps whatever they have, and the chains that only they had. */
export function removeGroups(tapNames: readonly string[]): void {
  const found = readGroups();
  const gone = new Set(tapNames.flatMap((tapName) => elementsOfTap(found, tapName)));
  const kept = found.elements.filter((one) => !gone.has(one));
  const shared = withoutTaps(gone, tapNames);
  const lines = [
    ...[...gone].map((one) => elementText("delete", one)),
    ...shared.map((one) => elementText("add", one)),
    ...pruneLines({ ...found, elements: [...kept, ...shared] }, []),
  ];
  if (lines.length > 0) nft(`${lines.join("")}${newMarkText(newMark())}`);
}

/** Lets everything pass for this tap. */
export function takeGroups({ names }: Context, networkName: string, tapName: string): void {
  inNamespace(names.netnsPath(networkName), () => removeGroups([tapName]));
}

/**
 * Gives the network on this node the newest rules and members, in one transaction of nft that has only what
 * differs. Changes nothing if the node has a newer state.
 *
 * @param isForced also makes those chains again that seem to be right.
 */
export function applyGroups(
  { names }: Context,
  networkName: string,
  wanted: GroupsOfNetwork,
  isForced = false,
): void {
  const path = names.netnsPath(networkName);
  const found = inNamespace(path, () => {
    const before = readGroups();
    if ((generationIn(before) ?? 0n) > wanted.generation && !isForced) return undefined;
    return ensureGroupTables(names) ? readGroups() : before;
  });
  if (found === undefined) return;
  const combinations = combinationsHere(networkName, found, wanted);
  const members = memberElementsOf(wanted);
  const remote = new Set(remoteElements(found));
  const kept = found.elements.filter((one) => !remote.has(one));
  const lines = [
    ...membershipLines(members, found),
    ...combinations.flatMap((one) => combinationLines(one, listingOfChains(one), found, isForced)),
    ...pruneLines({ ...found, elements: [...kept, ...members] }, combinations),
  ];
  const changed = lines.length > 0 ? newMarkText(newMark()) : "";
  const isNoted = generationIn(found) === wanted.generation;
  if (isNoted && changed === "") return;
  const note = noteText(wanted.generation, found);
  inNamespace(path, () => nft(`${lines.join("")}${note}${changed}`));
}

/** The combinations that taps of this node have, with the newest rules. */
function combinationsHere(
  networkName: string,
  found: FoundGroups,
  { groups }: GroupsOfNetwork,
): Combination[] {
  const byDigest = new Map(groups.map((group) => [shortDigest(group.id), group]));
  const used = combinationsOfPorts(found);
  return combinationNotes(found).flatMap(({ id, groups: digests }) => {
    if (!used.has(id)) return [];
    const known = digests.map((digest) => byDigest.get(digest));
    const all = known.filter((one) => one !== undefined);
    if (all.length < known.length) return [];
    return [
      combinationOf(
        networkName,
        all.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
      ),
    ];
  });
}

/** Any but that of a connection that was never judged. */
function newMark(): string {
  return (randomBytes(4).readUInt32BE() || 1).toString(16).padStart(8, "0");
}

async function findComment(
  ...asked: Parameters<typeof elementComment>
): Promise<string | undefined> {
  return await orUndefined(elementComment(...asked));
}
