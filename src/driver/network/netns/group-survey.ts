import { digestOfEntries } from "../../../util/security-rule.ts";
import type { PartState } from "../network-survey.ts";
import type { PortIdentity } from "../port-identity.ts";
import type { PortGroupsSurvey } from "../security-groups.ts";
import { additionText } from "./group-changes.ts";
import { type FoundGroups, type GroupElement, portElements } from "./group-elements.ts";
import {
  type CombinationNote,
  combinationNotes,
  digestOfChains,
  elementsOfTap,
  generationIn,
  readGroups,
  remoteElements,
  tapsOf,
} from "./group-listing.ts";
import { PORTS, portsTable, rulesTable } from "./group-table.ts";
import { ensureGroupTables, removeGroups } from "./groups.ts";
import type { Names } from "./names.ts";
import { inNamespace } from "./namespace.ts";
import { listingOf, stateOfListing } from "./tables.ts";

/** The groups of a network on this node: the state of the tables, and what each tap has. */
export interface GroupsSurvey {
  /** Of the tables without the chains of combinations. */
  readonly tables: PartState;
  readonly state: PartState;
  readonly ports: ReadonlyMap<string, PortGroupsSurvey>;
  /** Undefined if nobody has told it. */
  readonly generation: bigint | undefined;
  /** The digest of the members on other nodes. */
  readonly members: string;
}

export function surveyGroups(
  names: Names,
  path: string,
  identities: ReadonlyMap<string, PortIdentity>,
): GroupsSurvey {
  const tables = [portsTable(names), rulesTable(names)] as const;
  for (const table of tables) listingOf(table);
  const found = inNamespace(path, readGroups);
  const states = [
    stateOfListing(names, tables[0], found.ports),
    stateOfListing(names, tables[1], found.rules),
  ];
  const notes = combinationNotes(found);
  const isChanged = notes.some((note) => digestOfChains(note.id, found) !== note.listing);
  const same = states[0] === states[1] ? states[0]! : "altered";
  const taps = new Set(found.elements.flatMap(tapsOf));
  return {
    tables: same,
    state: same === "whole" && isChanged ? "altered" : same,
    ports: new Map(
      [...taps].map((tapName) => [tapName, portOf(found, tapName, notes, identities.get(tapName))]),
    ),
    generation: generationIn(found),
    members: membersDigest(remoteElements(found)),
  };
}

function portOf(
  found: FoundGroups,
  tapName: string,
  notes: readonly CombinationNote[],
  identity: PortIdentity | undefined,
): PortGroupsSurvey {
  const there = elementsOfTap(found, tapName);
  const mark = there.find(({ of }) => of === PORTS)?.mark?.padStart(8, "0");
  const note = notes.find(({ id }) => id === mark);
  if (note === undefined || identity === undefined)
    return { state: "altered", groups: [], rules: "" };
  const wanted = portElements(tapName, identity, note).map(additionText).sort();
  // Others may share an address, and then have its elements too.
  const own = there.map((one) => (one.of === PORTS ? one : { ...one, comment: tapName }));
  const isWhole = wanted.join("") === own.map(additionText).sort().join("");
  return { state: isWhole ? "whole" : "altered", groups: note.groups, rules: note.rules };
}

function membersDigest(elements: readonly GroupElement[]): string {
  return digestOfEntries(elements.map(({ set, key }) => `${set.slice(3)} ${key}`));
}

/** Makes the tables again if somebody has changed them, and takes their groups from taps that are not there. */
export function restoreGroups(names: Names, path: string, tapNames: readonly string[]): void {
  const { tables, ports } = surveyGroups(names, path, new Map());
  inNamespace(path, () => {
    if (tables !== "whole") ensureGroupTables(names, true);
    removeGroups([...ports.keys()].filter((tapName) => !tapNames.includes(tapName)));
  });
}
