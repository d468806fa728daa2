import type { Ref } from "../util/ref.ts";
import { type Collection, jsonCollection, put, putOf, remove, unchanged } from "./collection.ts";
import { merge, type Writes } from "./datastore.ts";
import { type Part, refOfKey } from "./key.ts";
import type { Records } from "./records.ts";

/**
 * A reference of an object to another one, with a key under the other one. The batch that writes the object
 * writes it.
 */
export const references = jsonCollection<Record<string, never>>("reference");

/**
 * One for each object. A transaction that begins to refer to the object without its key rewrites this
 * record, so that a delete can have the condition that nobody does.
 */
export const referenceGuards = jsonCollection<Record<string, never>>("reference_guard");

export interface Reference {
  readonly from: Ref;
  readonly to: Ref;
}

const partsOf = ({ kind, scope, name }: Ref) => [kind, scope, name] as const;

/** The key of a reference. */
export function referenceKey({ from, to }: Reference): string {
  return references.key(...partsOf(to), ...partsOf(from));
}

export function referenceOfKey(key: string): Reference {
  const [toKind = "", toScope = "", toName = "", kind = "", scope = "", name = ""] =
    references.parts(key);
  return { to: { kind: toKind, scope: toScope, name: toName }, from: { kind, scope, name } };
}

/** The key of the guard of an object. */
export function guardKeyOf(to: Ref): string {
  return referenceGuards.key(...partsOf(to));
}

/** The object of which a guard, by its key, is. */
export function guardedBy(key: string): Ref {
  const [kind = "", scope = "", name = ""] = referenceGuards.parts(key);
  return { kind, scope, name };
}

/** The keys of the references of an object, by its own key. */
export function referenceKeys<T>(
  of: Collection<T, Part>,
  key: string,
  object: T | undefined,
): string[] {
  const from = refOfKey(key);
  if (object === undefined || of.refersTo === undefined || from === undefined) return [];
  return [...new Set(of.refersTo(object, from).map((to) => referenceKey({ from, to })))];
}

/** The writes of references that belong to a write of an object. `undefined` stands for no object. */
export function referenceWrites<T>(
  of: Collection<T, Part>,
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

/** The objects that refer to this object, of all kinds or of one, sorted by kind and name. */
export async function referrersOf(
  records: Pick<Records, "list">,
  to: Ref,
  { kind, limit }: { readonly kind?: string; readonly limit?: number } = {},
): Promise<readonly Ref[]> {
  const parts = [...partsOf(to), ...(kind === undefined ? [] : [kind])] as const;
  const found = await records.list(references, parts, limit === undefined ? undefined : { limit });
  return found.map(({ key }) => referenceOfKey(key).from);
}

/** For a transaction that refers to an object without holding its key, as the object was at this revision. */
export function referTo(key: string, revision: number): Writes {
  const to = refOfKey(key);
  if (to === undefined) throw new Error(`${key} belongs to no object`);
  return merge(put(referenceGuards, partsOf(to), {}), { conditions: [{ key, revision }] });
}

/** For a transaction that deletes an object to which nobody referred when `guard` was read. */
export async function unreferenced(records: Records, to: Ref): Promise<Writes> {
  const guard = await records.find(referenceGuards, ...partsOf(to));
  return merge(
    unchanged(referenceGuards, partsOf(to), guard?.revision ?? 0),
    guard === undefined ? {} : remove(referenceGuards, ...partsOf(to)),
  );
}

/** For a transaction that keeps an object, if nobody has begun to refer to it since this was called. */
export async function notNewlyReferenced(records: Records, to: Ref): Promise<Writes> {
  const guard = await records.find(referenceGuards, ...partsOf(to));
  return unchanged(referenceGuards, partsOf(to), guard?.revision ?? 0);
}
