import type { Held } from "../transaction/locks.ts";
import type { Ref } from "../util/ref.ts";
import type { Collection } from "./collection.ts";
import { remove } from "./collection.ts";
import { merge, type Writes } from "./datastore.ts";
import { type Part, refOfKey } from "./key.ts";
import { referenceWrites } from "./references.ts";

/** What must be true of the place of a new object, such as its project, when the object is written. */
export type ForNew = (ref: Ref) => Writes;

/** Writes objects through their held keys, so that no object is written without its key. */
export class HeldObjects implements Held {
  readonly keys: readonly string[];
  readonly fencing: number;
  readonly #release: () => Promise<void>;
  readonly #forNew: ForNew;
  #released: Promise<void> | undefined;

  constructor(
    keys: readonly string[],
    fencing: number,
    release: () => Promise<void>,
    forNew: ForNew = () => ({}),
  ) {
    this.keys = keys;
    this.fencing = fencing;
    this.#release = release;
    this.#forNew = forNew;
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
    const written = { puts: [{ key, value: bytes }] };
    const references = referenceWrites(of, key, before, value);
    return before === undefined
      ? merge(written, references, this.#conditionsOf(key))
      : merge(written, references);
  }

  remove<T, F extends Part>(of: Collection<T, F>, name: NoInfer<F>, before: T): Writes {
    const key = of.key(name);
    this.#assertHeld(key);
    return merge(remove(of, name), referenceWrites(of, key, before, undefined));
  }

  release(): Promise<void> {
    this.#released ??= this.#release();
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
    if (this.#released !== undefined || !this.keys.includes(key)) {
      throw new Error(`${key} is written without holding its lock`);
    }
  }
}
