import { formatRef, homeOf, type Ref } from "../util/ref.ts";

/** The first part of a key: the object to which the record belongs, or any text. */
export type Part = string | Ref;

/**
 * Makes all keys of one collection, and encodes each part, so that no name can escape its place. `F` is the
 * type of the first part.
 */
export interface Keys<F extends Part = string> {
  readonly prefix: string;
  key(first: F, ...rest: readonly string[]): string;
  /** The prefix of the keys with these first parts. */
  under(...parts: readonly [] | readonly [F, ...string[]]): string;
  /** The prefix of the keys whose object is in this scope. */
  within(scope: string): string;
  /** The strings of which a key was made; for an object, its name. */
  parts(key: string): readonly [string, ...string[]];
}

/**
 * Matches a part that the encoding does not change, as nearly every part. This test is cheaper than
 * encoding.
 */
const PLAIN_PART = /^[\w.~-]*$/;

function encodePart(part: string): string {
  return PLAIN_PART.test(part) ? part : encodeURIComponent(part);
}

/** The collections whose keys begin with an object, with the kind of that object. */
const kindOfObject = new Map<string, string>();

/** @param kind the kind of the object with which each key begins, if it does. */
export function keysOf(collection: string): Keys;
export function keysOf(collection: string, kind: string): Keys<Ref>;
export function keysOf(collection: string, kind?: string): Keys<Part> {
  const prefix = `${collection}/`;
  if (kind !== undefined) kindOfObject.set(collection, kind);
  const textOf = (part: Part, index: number) => {
    if (index === 0 && kind !== undefined) return textOfObject(collection, kind, part);
    if (typeof part === "string") return encodePart(part);
    throw new Error(`${formatRef(part)} is not a part of a key of ${collection}`);
  };
  const join = (parts: readonly Part[]) => {
    let joined = "";
    for (const [index, part] of parts.entries()) {
      joined += index === 0 ? textOf(part, 0) : `/${textOf(part, index)}`;
    }
    return joined;
  };
  return {
    prefix,
    key: (...parts) => prefix + join(parts),
    under: (...parts) => (parts.length === 0 ? prefix : `${prefix}${join(parts)}/`),
    within: (scope) => `${prefix}${encodePart(scope)}/`,
    parts: (key) => {
      const [first = "", ...rest] = textsOf(key).slice(kind === undefined ? 1 : 2);
      return [first, ...rest];
    },
  };
}

function textOfObject(collection: string, kind: string, part: Part): string {
  if (typeof part !== "string" && part.kind === kind) {
    return `${encodePart(part.scope)}/${encodePart(part.name)}`;
  }
  const text = typeof part === "string" ? `the text "${part}"` : formatRef(part);
  throw new Error(`a key of ${collection} begins with a ${kind}, not with ${text}`);
}

function textsOf(key: string): string[] {
  const parts = key.split("/");
  // Few keys have such a part, and decoding takes longer than splitting.
  return key.includes("%") ? parts.map(decodeURIComponent) : parts;
}

/** The key of an object of any kind. */
export function objectKey({ kind, scope, name }: Ref): string {
  return `${encodePart(kind)}/${encodePart(scope)}/${encodePart(name)}`;
}

/** The object that a record is, or to which it belongs by its key. */
export function refOfKey(key: string): Ref | undefined {
  const [collection = "", scope = "", name = ""] = textsOf(key);
  const kind = kindOfObject.get(collection);
  return kind === undefined ? undefined : { kind, scope, name };
}

/** A key as people read it, such as `virtual_machine/web-1`. */
export function keyText(key: string): string {
  const [collection = "", scope = "", ...rest] = textsOf(key);
  const kind = kindOfObject.get(collection);
  if (kind === undefined) return decodeURIComponent(key);
  return [collection, ...(scope === homeOf(kind) ? [] : [scope]), ...rest].join("/");
}
