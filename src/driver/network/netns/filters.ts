import type { PartState, PortFilter } from "../network-survey.ts";
import type { PortIdentity } from "../port-identity.ts";
import { FILTERS } from "./change-filters.ts";
import type { Context } from "./context.ts";
import {
  additions,
  additionsText,
  type Elements,
  elementsIn,
  elementsOf,
  filterOf,
  identityIn,
  portKey,
  removals,
  withoutElements,
} from "./filter-elements.ts";
import { FILTER_TABLE, filterTable } from "./filter-table.ts";
import { groupRemovals, haveTheirOwn, judgeAgain, removeGroups } from "./groups.ts";
import { removeLimits, surveyLimits } from "./limits.ts";
import type { Names } from "./names.ts";
import { inNamespace, namespaceAt } from "./namespace.ts";
import { nft } from "./nft.ts";
import { type ElementChange, elementComment, type TableChange } from "./nft-elements.ts";
import { isDone, orUndefined } from "./nft-outcome.ts";
import { applyTable, listingOf, stateOfListing } from "./tables.ts";

/** In the namespace of the thread. A table of another version keeps its ports. */
export function ensureFilterTable(names: Names, isForced = false): void {
  applyTable(names, filterTable(names), { isForced, elements: allAdditions });
}

function allAdditions(): string {
  return [...readElements()]
    .map(([portName, elements]) => {
      const { identity } = filterOf(elements);
      return identity === undefined ? "" : additionsText(portName, identity);
    })
    .join("");
}

/**
 * Lets the guest behind the tap be what `identity` says, and nobody else, in one transaction of nft. The tap may
 * still be on its way. A new port costs the same however many there are.
 */
export async function ensureFilter(
  { names, changeFilters: change }: Context,
  networkName: string,
  tapName: string,
  identity: PortIdentity,
): Promise<void> {
  const path = names.netnsPath(networkName);
  if (await isDone(change(path, ofFilters(additions("create", tapName, identity))))) return;
  const found = inNamespace(path, () => {
    ensureFilterTable(names);
    return readElements().get(tapName) ?? new Set<string>();
  });
  const wanted = elementsOf(identity);
  if (wanted.length === found.size && wanted.every((one) => found.has(one))) return;
  await change(
    path,
    ofFilters([...removals(tapName, found), ...additions("add", tapName, identity)]),
  );
}

/** Removes the filters, groups and limits of these ports. The caller has removed their taps, and holds the network. */
export async function removeFilters(
  { names, changeFilters: change }: Context,
  networkName: string,
  tapNames: readonly string[],
): Promise<void> {
  const path = names.netnsPath(networkName);
  // Another removal may have removed the network in between.
  if (namespaceAt(path) !== "namespace") return;
  await removeLimits(path, tapNames);
  const noted = await notedElements(path, tapNames);
  if (noted !== undefined && (await isDone(change(path, noted)))) return;
  if (namespaceAt(path) !== "namespace") return;
  const found = inNamespace(path, () => {
    removeGroups(tapNames);
    return readElements();
  });
  const changes = tapNames.flatMap((tapName) => removals(tapName, found.get(tapName) ?? []));
  if (changes.length > 0) await change(path, ofFilters(changes));
}

/** The state of the table, and the filter of each port that has one. */
export function surveyFilters(
  names: Names,
  path: string,
): { readonly state: PartState; readonly filters: ReadonlyMap<string, PortFilter> } {
  const table = filterTable(names);
  // Before entering the namespace: the rules to compare with are made in a namespace of their own.
  listingOf(table);
  const listing = inNamespace(path, readTable);
  const rules = listing === undefined ? undefined : withoutElements(listing);
  const found = [...elementsIn(listing ?? "")];
  return {
    state: stateOfListing(names, table, rules),
    filters: new Map(found.map(([portName, elements]) => [portName, filterOf(elements)])),
  };
}

/** Makes the table again if somebody has changed it, and removes the filters of ports that are not there. */
export async function restoreFilters(
  context: Context,
  networkName: string,
  tapNames: readonly string[],
): Promise<void> {
  const { names } = context;
  const path = names.netnsPath(networkName);
  const { state, filters } = surveyFilters(names, path);
  if (state !== "whole") inNamespace(path, () => ensureFilterTable(names, true));
  const strays = straysOf(tapNames, filters, surveyLimits(path));
  if (strays.length > 0) await removeFilters(context, networkName, strays);
}

/** The ports with a filter or limits that are not there. */
export function straysOf(
  tapNames: readonly string[],
  ...found: readonly ReadonlyMap<string, unknown>[]
): string[] {
  const names = new Set(found.flatMap((one) => [...one.keys()]));
  return [...names].filter((name) => !tapNames.includes(name));
}

/**
 * With its groups. Undefined if the comment of one of the ports does not say its elements, if there is no such port,
 * or if chains must go with it.
 */
async function notedElements(path: string, tapNames: readonly string[]) {
  const changes: TableChange[] = [];
  let hasGroups = false;
  for (const tapName of tapNames) {
    const asked = elementComment(path, FILTERS, "ports", portKey(tapName));
    const identity = identityIn(await orUndefined(asked));
    if (identity === undefined) return undefined;
    const groups = await groupRemovals(path, tapName, identity);
    if (groups === undefined) return undefined;
    if (groups.length > 0) changes.push(...groups, ...judgeAgain());
    hasGroups ||= groups.length > 0;
    changes.push(...ofFilters(removals(tapName, elementsOf(identity))));
  }
  // Their chains go with them, which takes more than elements.
  if (hasGroups && (await haveTheirOwn(path, tapNames))) return undefined;
  return changes;
}

function ofFilters(changes: readonly ElementChange[]): TableChange[] {
  return changes.map((change) => ({ ...change, of: FILTERS }));
}

/** In the namespace of the thread. */
function readElements(): Elements {
  return elementsIn(readTable() ?? "");
}

/** nft's listing, in the namespace of the thread. nft takes long to list the tables too, for it reads them all. */
function readTable(): string | undefined {
  try {
    return nft(`list table bridge ${FILTER_TABLE}`);
  } catch (error) {
    if (error instanceof Error && error.message.includes("No such file or directory")) {
      return undefined;
    }
    throw error;
  }
}
