import type { Ref } from "../util/ref.ts";
import { type Collection, jsonCollection, put, putOf, remove, unchanged } from "./collection.ts";
import { merge, type Writes } from "./datastore.ts";
import { refOfKey } from "./key.ts";
import type { Records } from "./records.ts";

/** That an object refers to another one: under that one. Written in the same batch as the object. */
export const references = jsonCollection<Record<string, never>>("reference");

/**
 * By an object; rewritten by whoever comes to refer to it without holding its key, so that deleting it can be
 * conditional on that nobody does.
 */
export const referenceGuards = jsonCollection<Record<string, never>>("reference_guard");

export interface Reference {
  readonly from: Ref;
  readonly to: Ref;
}

const partsOf = ({ kind, scope, name }: Ref) => [kind, scope, name];

function keyOf({ from, to }: Reference): string {
  return references.key(...partsOf(to), ...partsOf(from));
}

export function referenceOfKey(key: string): Reference {
  const [toKind = "", toScope = "", toName = "", kind = "", scope = "", name = ""] =
    references.parts(key);
  return { to: { kind: toKind, scope: toScope, name: toName }, from: { kind, scope, name } };
}

/** The keys of the references that an object makes, by its own key. */
export function referenceKeys<T>(of: Collection<T>, key: string, object: T | undefined): string[] {
  const from = refOfKey(key);
  if (object === undefined || of.refersTo === undefined || from === undefined) return [];
  return [...new Set(of.refersTo(object, from).map((to) => keyOf({ from, to })))];
}

/** What becomes of an object's references where it is written; undefined for what is not there. */
export function referenceWrites<T>(
  of: Collection<T>,
  key: string,
  before: T | undefined,
  after: T | undefined,
): Writes {
  const had = referenceKeys(of, key, before);
  const has = referenceKeys(of, key, after);
  return {
    puts: has.filter((one) => !had.includes(one)).map((one) => putOf(references, one, {})),
    deletes: had.filter((one) => !has.includes(one)),
  };
}

/** Who refers to this object, of all kinds or of one, in the order of their kinds and names. */
export async function referrersOf(
  records: Pick<Records, "list">,
  to: Ref,
  { kind, limit }: { readonly kind?: string; readonly limit?: number } = {},
): Promise<readonly Ref[]> {
  const parts = [...partsOf(to), ...(kind === undefined ? [] : [kind])];
  const found = await records.list(references, parts, limit === undefined ? undefined : { limit });
  return found.map(({ key }) => referenceOfKey(key).from);
}

/** For who refers to an object that it holds no key of, as it was at this revision. */
export function referTo(key: string, revision: number): Writes {
  const to = refOfKey(key);
  if (to === undefined) throw new Error(`${key} is no object's`);
  return merge(put(referenceGuards, partsOf(to), {}), { conditions: [{ key, revision }] });
}

/** For who deletes an object that nobody referred to when `guard` was read. */
export async function unreferenced(records: Records, to: Ref): Promise<Writes> {
  const guard = await records.find(referenceGuards, ...partsOf(to));
  return merge(
    unchanged(referenceGuards, partsOf(to), guard?.revision ?? 0),
    guard === undefined ? {} : remove(referenceGuards, ...partsOf(to)),
  );
}
