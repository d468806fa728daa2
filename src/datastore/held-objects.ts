import type { Held } from "../transaction/locks.ts";
import type { Ref } from "../util/ref.ts";
import type { Collection } from "./collection.ts";
import { remove } from "./collection.ts";
import { merge, type Writes } from "./datastore.ts";
import { type Part, refOfKey } from "./key.ts";
import { referenceWrites } from "./references.ts";

/** What must be true of the place of a new object, such as its project, when the object is written. */
export type ForNew = (ref: Ref) => Writes;

/** Encodes a record when somebody asks for it. */
type Encoding = () => Uint8Array;

/** Writes objects through their held keys, so that no object is written without its key. */
export class HeldObjects implements Held {
  readonly #keys: Set<string>;
  #fencing: number;
  readonly #releases: (() => Promise<void>)[];
  readonly #forNew: ForNew;
  #released: Promise<void> | undefined;
  /** By key, the records before the first write to them; undefined for one that did not exist. */
  readonly #before = new Map<string, Encoding | undefined>();

  constructor(
    keys: readonly string[],
    fencing: number,
    release: () => Promise<void>,
    forNew: ForNew = () => ({}),
  ) {
    this.#keys = new Set(keys);
    this.#fencing = fencing;
    this.#releases = [release];
    this.#forNew = forNew;
  }

  get keys(): readonly string[] {
    return [...this.#keys];
  }

  get fencing(): number {
    return this.#fencing;
  }

  holds(key: string): boolean {
    return this.#keys.has(key);
  }

  /** Takes more keys of the same transaction, and releases them with its own. */
  join(more: HeldObjects): void {
    if (this.#released !== undefined) throw new Error("keys are taken after the release");
    for (const key of more.#keys) this.#keys.add(key);
    this.#fencing = Math.max(this.#fencing, more.#fencing);
    this.#releases.push(() => more.release());
  }

  /** Writes an object, and its references. @param before undefined for a new one. */
  put<T, F extends Part>(
    of: Collection<T, F>,
    name: NoInfer<F>,
    value: T,
    before: T | undefined,
  ): Writes {
    return this.putEncoded(of, name, { value, bytes: of.encode(value) }, before);
  }

  /** Like `put`, for an encoded value. */
  putEncoded<T, F extends Part>(
    of: Collection<T, F>,
    name: NoInfer<F>,
    { value, bytes }: { readonly value: T; readonly bytes: Uint8Array },
    before: T | undefined,
  ): Writes {
    const key = of.key(name);
    this.#assertHeld(key);
    this.note(of, key, before);
    const written = { puts: [{ key, value: bytes }] };
    const references = referenceWrites(of, key, before, value);
    return before === undefined
      ? merge(written, references, this.#conditionsOf(key))
      : merge(written, references);
  }

  remove<T, F extends Part>(of: Collection<T, F>, name: NoInfer<F>, before: T): Writes {
    const key = of.key(name);
    this.#assertHeld(key);
    this.note(of, key, before);
    return merge(remove(of, name), referenceWrites(of, key, before, undefined));
  }

  /**
   * Notes that the transaction changes a record, and how it was before. What is written through the held keys is noted
   * by that. @param before undefined for a new one.
   */
  note<T>(of: Pick<Collection<T>, "encode">, key: string, before: T | undefined): void {
    if (this.#before.has(key)) return;
    this.#before.set(key, before === undefined ? undefined : () => of.encode(before));
  }

  /** The noted records by key, in the order of their first notes, as they were before; undefined for none. */
  noted(): ReadonlyMap<string, Encoding | undefined> {
    return this.#before;
  }

  release(): Promise<void> {
    this.#released ??= Promise.all(this.#releases.map((release) => release())).then(() => {});
    return this.#released;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  #conditionsOf(key: string): Writes {
    const ref = refOfKey(key);
    return ref === undefined ? {} : this.#forNew(ref);
  }

  #assertHeld(key: string): void {
    if (this.#released !== undefined || !this.#keys.has(key)) {
      throw new Error(`${key} is written without holding its lock`);
    }
  }
}
