import {
  type DescMessage,
  equals,
  fromBinary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { defined } from "../util/defined.ts";
import type { Json } from "../util/json.ts";
import { levelOf, type Ref, refBeside } from "../util/ref.ts";
import type { Put, Writes } from "./datastore.ts";
import { type Keys, keysOf, type Part, refOfKey } from "./key.ts";

/** Records of one kind, all under one prefix. The keys begin with an `F`. */
export interface Collection<T, F extends Part = string> extends Keys<F> {
  /** The maximum size of a record; undefined for the size that any record may have. */
  readonly bytesMax?: number | undefined;
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array): T;
  /** Sets what the key of the object says of it, and its record does not. */
  locate?(object: T, key: string): void;
  /** The objects to which this one refers. */
  refersTo?(object: T, from: Pick<Ref, "scope">): readonly Ref[];
}

/** Records of which only their prefix and keys matter. */
export type AnyCollection = Collection<unknown, Part>;

/** Records of which each is an object, or belongs to one. */
interface Owned<T> extends Collection<T, Ref> {
  /** The object. @param key of a record of this collection. */
  refOf(key: string): Ref;
}

/** The objects of one kind. */
export interface Objects<T> extends Owned<T> {
  readonly kind: string;
  /** Whether two records say the same: the keys of a map may be in another order. */
  isSame(a: Uint8Array, b: Uint8Array): boolean;
}

/** What a key of a collection is made of. */
export type KeyParts<F extends Part> = readonly [first: NoInfer<F>, ...rest: string[]];

/** The objects that an object names, by kind, as `refBeside` reads them. */
export type Referring<T> = { readonly [kind: string]: (object: T) => readonly string[] };

/** The objects of a kind. The kind is the name of the collection. */
export function protoCollection<D extends DescMessage>(
  kind: string,
  schema: D,
  {
    today = (value) => value,
    references,
    refs,
  }: {
    /** Converts an object that an earlier version has written. */
    readonly today?: (value: MessageShape<D>) => MessageShape<D>;
    readonly references?: Referring<MessageShape<D>>;
    /** The objects to which an object refers, if they may be in other scopes. */
    readonly refs?: (object: MessageShape<D>) => readonly Ref[];
  } = {},
): Objects<MessageShape<D>> {
  const refersTo = (object: MessageShape<D>, from: Pick<Ref, "scope">) =>
    Object.entries(references ?? {}).flatMap(([of, namesIn]) =>
      namesIn(object).map((name) => refBeside(from, of, name)),
    );
  const field = scopeFieldOf(kind, schema);
  return {
    ...keysOf(kind, kind),
    kind,
    refOf,
    ...(references === undefined ? {} : { refersTo }),
    ...(refs === undefined ? {} : { refersTo: refs }),
    encode: (value) => withoutScope(field, value, () => toBinary(schema, value)),
    ...(field === undefined ? {} : { locate: locating(field) }),
    decode: (bytes) => today(fromBinary(schema, bytes)),
    isSame: (a, b) =>
      Buffer.compare(a, b) === 0 || equals(schema, fromBinary(schema, a), fromBinary(schema, b)),
  };
}

/** A field of an object's message that says its scope. Its record does not, because its key does. */
export type ScopeField = "project" | "domain";

/** Undefined if the objects have no such field. */
export function scopeFieldOf(kind: string, schema: DescMessage): ScopeField | undefined {
  const level = levelOf(kind);
  return level !== "system" && schema.field[level] !== undefined ? level : undefined;
}

type Scoped = { -readonly [field in ScopeField]?: string };

export function saysScope(object: object, field: ScopeField): boolean {
  return (object as Scoped)[field] !== "";
}

export function setScope(object: object, field: ScopeField, scope: string): void {
  (object as Scoped)[field] = scope;
}

function locating(field: ScopeField) {
  return (object: object, key: string) => setScope(object, field, refOf(key).scope);
}

/** Nobody sees the object without its scope: `encode` is synchronous, and a copy would cost more. */
function withoutScope<R>(field: ScopeField | undefined, object: object, encode: () => R): R {
  const scoped: Scoped = object;
  const scope = field === undefined ? undefined : scoped[field];
  if (field === undefined || scope === undefined || scope === "") return encode();
  try {
    scoped[field] = "";
    return encode();
  } finally {
    scoped[field] = scope;
  }
}

function refOf(key: string): Ref {
  const ref = refOfKey(key);
  if (ref === undefined) throw new Error(`${key} belongs to no object`);
  return ref;
}

const utf8 = new TextDecoder();

/**
 * Records that only our own code reads.
 *
 * @param options `of` is the kind of the object to which each record belongs. Its key begins with that
 *   object.
 */
export function jsonCollection<T extends Json>(
  name: string,
  options?: { readonly bytesMax?: number },
): Collection<T>;
export function jsonCollection<T extends Json>(
  name: string,
  options: { readonly of: string; readonly bytesMax?: number },
): Owned<T>;
export function jsonCollection<T extends Json>(
  name: string,
  { of, bytesMax }: { readonly of?: string; readonly bytesMax?: number } = {},
): Collection<T, Part> {
  return {
    ...(of === undefined ? keysOf(name) : { ...keysOf(name, of), refOf }),
    bytesMax,
    encode: (value) => Buffer.from(JSON.stringify(value)),
    decode: (bytes) => JSON.parse(utf8.decode(bytes)),
  };
}

/** @throws Error that names the record, if its bytes are not a record of `of`. */
export function decodeRecord<T>(
  of: Pick<Collection<T>, "decode" | "locate">,
  key: string,
  bytes: Uint8Array,
): T {
  try {
    const value = of.decode(bytes);
    of.locate?.(value, key);
    return value;
  } catch (cause) {
    throw new Error(`record ${key} cannot be read: damaged, or written by a newer version`, {
      cause,
    });
  }
}

export function put<T, F extends Part>(of: Collection<T, F>, parts: KeyParts<F>, value: T): Writes {
  return { puts: [putOf(of, of.key(...parts), value)] };
}

/** Puts the record without a condition, for a caller that holds the key. */
export function putOf<T>(
  of: Pick<Collection<T>, "encode" | "bytesMax">,
  key: string,
  value: T,
): Put {
  const { bytesMax } = of;
  return { key, value: of.encode(value), ...defined({ bytesMax }) };
}

/** A put that fails if the record exists. It makes a name, an address or a device unique. */
export function putNew<T, F extends Part>(
  of: Collection<T, F>,
  parts: KeyParts<F>,
  value: T,
): Writes {
  const key = of.key(...parts);
  return { puts: [putOf(of, key, value)], conditions: [{ key, revision: 0 }] };
}

export function remove<T, F extends Part>(of: Collection<T, F>, ...parts: KeyParts<F>): Writes {
  return { deletes: [of.key(...parts)] };
}

/** Holds while the record is at this revision. 0 means that there is no record. */
export function unchanged<T, F extends Part>(
  of: Collection<T, F>,
  parts: KeyParts<F>,
  revision: number,
): Writes {
  return { conditions: [{ key: of.key(...parts), revision }] };
}
