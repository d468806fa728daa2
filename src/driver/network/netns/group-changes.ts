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

export function memberElementsOf({ members }: Membership): GroupElement[] {
  return members.flatMap(({ identity, groupIds }) =>
    memberElements(identity, groupIds.map(shortDigest)),
  );
}

/** What brings the members on other nodes to the newest state. */
export function membershipLines(wanted: readonly GroupElement[], found: FoundGroups): string[] {
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

/** The length of the part of a set's name before that of its group. */
const SET_HEAD = "l4_".length;

/** The ids of the combinations that taps have. */
export function combinationsOfPorts({ elements }: FoundGroups): ReadonlySet<string> {
  return new Set(elements.flatMap(({ of, mark }) => (of === PORTS ? (mark ?? []) : [])));
}

/**
 * Removes what no tap has any more: the chains of combinations, and empty sets of groups that no tap has and no chain
 * names.
 *
 * @param after with the elements that are there then.
 * @param newest those combinations whose rules may be others then.
 */
export function pruneLines(after: FoundGroups, newest: readonly Combination[]): string[] {
  const { family, table } = RULES;
  const used = combinationsOfPorts(after);
  const gone = combinationNotes(after).filter(({ id }) => !used.has(id));
  const names = gone.flatMap(chainsOf);
  const replaced = new Set([...names, ...newest.flatMap(chainsOf)]);
  const needed = [
    ...[...after.blocks].flatMap(([name, text]) => (replaced.has(name) ? [] : [text])),
    ...newest.flatMap(({ ingress, egress }) => [...ingress, ...egress]),
  ].join("\n");
  // The sets of a group come and go together.
  const groups = new Set(
    after.elements.flatMap(({ of, set, comment = "" }) =>
      of === PORTS ? comment.split(" ") : [set.slice(SET_HEAD)],
    ),
  );
  const sets = [...after.blocks.keys()].filter(
    (name) =>
      /^[lm]/.test(name) && !groups.has(name.slice(SET_HEAD)) && !needed.includes(`@${name}`),
  );
  return [
    ...gone.map(({ id }) => elementText("delete", { of: RULES, set: "combinations", key: id })),
    ...names.map((name) => `flush chain ${family} ${table} ${name}\n`),
    ...names.map((name) => `delete chain ${family} ${table} ${name}\n`),
    ...sets.map((name) => `delete set ${family} ${table} ${name}\n`),
  ];
}

function chainsOf({ id }: { readonly id: string }): string[] {
  return [`in_${id}`, `out_${id}`];
}
