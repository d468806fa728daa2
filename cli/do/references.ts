import { N0Error } from "../../src/util/errors.ts";
import { type Part, parseText, type Reference } from "../../src/util/template/text.ts";
import type { Path } from "../../src/util/template/walk.ts";
import type { Place } from "./problems.ts";
import type { Tree } from "./yaml-tree.ts";

/** A task that another one needs, and where the file says so. */
export interface Need {
  readonly name: string;
  readonly place: Place;
}

/** The parts of a text; undefined if it has a mistake, which the check of the args reports. */
export function partsOf(text: string): readonly Part[] | undefined {
  if (!text.includes("${")) return [text];
  try {
    return parseText(text);
  } catch (reason) {
    if (reason instanceof N0Error) return undefined;
    throw reason;
  }
}

export function referencesOf(text: string): readonly Reference[] {
  return (partsOf(text) ?? []).filter((part) => typeof part !== "string");
}

/** What a text without references says: `$${` is a literal `${`. */
export function literalOf(text: string): string {
  return partsOf(text)?.join("") ?? text;
}

/** The tasks to which the texts of a tree refer. */
export function needsOf(tree: Tree | undefined): readonly Need[] {
  if (tree === undefined) return [];
  if (tree.kind === "leaf") {
    return referencesOf(tree.text).map(({ name }) => ({ name, place: tree.place }));
  }
  const parts = tree.kind === "list" ? tree.items : tree.entries.map(({ value }) => value);
  return parts.flatMap(needsOf);
}

/** The place of the part of a tree that became that part of its JSON. */
export function placeAt(tree: Tree, path: Path): Place {
  let at = tree;
  for (const step of path) {
    const next =
      at.kind === "list"
        ? at.items[Number(step)]
        : at.kind === "table"
          ? at.entries.find(({ key }) => key === step)?.value
          : undefined;
    if (next === undefined) break;
    at = next;
  }
  return at.place;
}
