import type { Held } from "../transaction/locks.ts";
import type { Collection } from "./collection.ts";
import { remove } from "./collection.ts";
import { merge, type Writes } from "./datastore.ts";
import type { Part } from "./key.ts";
import { referenceWrites } from "./references.ts";

/** Writes objects through their held keys, so that no object is written without its key. */
export class HeldObjects implements Held {
  readonly keys: readonly string[];
  readonly fencing: number;
  readonly #release: () => Promise<void>;
  #released: Promise<void> | undefined;

  constructor(keys: readonly string[], fencing: number, release: () => Promise<void>) {
    this.keys = keys;
    this.fencing = fencing;
    this.#release = release;
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
    return merge({ puts: [{ key, value: bytes }] }, referenceWrites(of, key, before, value));
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

  #assertHeld(key: string): void {
    if (this.#released !== undefined || !this.keys.includes(key)) {
      throw new Error(`${key} is written without holding its lock`);
    }
  }
}
