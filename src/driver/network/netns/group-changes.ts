import { shortDigest } from "../../../util/security-rule.ts";
import type { Membership } from "../security-groups.ts";
import type { Combination } from "./group-chains.ts";
import {
  elementText,
  type FoundGroups,
  GENERATION_NOTE,
  type GroupElement,
  memberElements,
} from "./group-elements.ts";
import { combinationNotes, generationIn, remoteElements } from "./group-listing.ts";
import { chainLines, setText } from "./group-script.ts";
import { PORTS, RULES } from "./group-table.ts";

/** The chains of the combination with the newest rules, unless they are there. */
export function combinationLines(
  wanted: Combination,
  listing: string,
  found: FoundGroups,
  isForced: boolean,
): string[] {
  const note = combinationNotes(found).find(({ id }) => id === wanted.id);
  if (note?.rules === wanted.rules && !isForced) return [];
  const { family, table } = RULES;
  const element = {
    of: RULES,
    set: "combinations",
    key: wanted.id,
    comment: [wanted.rules, listing, ...wanted.groups].join(" "),
    chain: `in_${wanted.id}`,
  };
  return [
    ...wanted.sets.map(setText),
    ...chainLines(wanted, `${family} ${table}`),
    ...(note === undefined ? [] : [elementText("delete", element)]),
    elementText("add", element),
  ];
}

export function setLines(elements: readonly GroupElement[]): string[] {
  const groups = elements.flatMap(({ set }) => /^[lm][46]_(.*)/.exec(set)?.[1] ?? []);
  return [...new Set(groups)].map(setText);
}

/** What brings the members on other nodes to the newest state. */
export function membershipLines({ members }: Membership, found: FoundGroups): string[] {
  const wanted = members.flatMap(({ identity, groupIds }) =>
    memberElements(identity, groupIds.map(shortDigest)),
  );
  const differences = differenceLines(remoteElements(found), wanted);
  return differences.length === 0 ? [] : [...setLines(wanted), ...differences];
}

export function differenceLines(
  before: readonly GroupElement[],
  after: readonly GroupElement[],
): string[] {
  const had = new Set(before.map(additionText));
  const has = new Map(after.map((one) => [additionText(one), one]));
  return [
    ...before.filter((one) => !has.has(additionText(one))).map((one) => elementText("delete", one)),
    ...[...has.keys()].filter((text) => !had.has(text)),
  ];
}

export function placeText({ of, set, key }: GroupElement): string {
  return `${of.family} ${set} ${key}`;
}

export function additionText(element: GroupElement): string {
  return elementText("add", element);
}

export function noteText(generation: bigint, found: FoundGroups): string {
  const note = { of: RULES, set: "notes", key: GENERATION_NOTE, comment: String(generation) };
  const isThere = generationIn(found) !== undefined;
  return `${isThere ? elementText("delete", note) : ""}${elementText("add", note)}`;
}

/** Removes what no tap has any more: the chains of combinations, and sets that no chain names and that are empty. */
export function pruneLines(found: FoundGroups, kept: readonly Combination[]): string[] {
  const { family, table } = RULES;
  const used = new Set([
    ...kept.map(({ id }) => id),
    ...found.elements.flatMap(({ of, mark }) => (of === PORTS ? (mark ?? []) : [])),
  ]);
  const gone = combinationNotes(found).filter(({ id }) => !used.has(id));
  const names = new Set(gone.flatMap(({ id }) => [`in_${id}`, `out_${id}`]));
  const needed = [
    ...[...found.blocks].flatMap(([name, text]) => (names.has(name) ? [] : [text])),
    ...kept.flatMap(({ ingress, egress }) => [...ingress, ...egress]),
  ].join("\n");
  const filled = new Set(found.elements.map(({ set }) => set));
  const sets = [...found.blocks.keys()].filter(
    (name) => /^[lm]/.test(name) && !filled.has(name) && !needed.includes(`@${name}`),
  );
  return [
    ...gone.map(({ id }) => elementText("delete", { of: RULES, set: "combinations", key: id })),
    ...[...names].map((name) => `flush chain ${family} ${table} ${name}\n`),
    ...[...names].map((name) => `delete chain ${family} ${table} ${name}\n`),
    ...sets.map((name) => `delete set ${family} ${table} ${name}\n`),
  ];
}
