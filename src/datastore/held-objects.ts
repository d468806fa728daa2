import type { Held } from "../transaction/locks.ts";
import type { Collection } from "./collection.ts";
import { remove } from "./collection.ts";
import type { Writes } from "./datastore.ts";

/** Objects are written through the keys that are held for them, so that none is written unheld. */
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

  put<T>(of: Collection<T>, name: string, value: T): Writes {
    return this.putEncoded(of, name, of.encode(value));
  }

  /** As `put`, of a value that is encoded already. */
  putEncoded<T>(of: Collection<T>, name: string, value: Uint8Array): Writes {
    const key = of.key(name);
    this.#assertHeld(key);
    return { puts: [{ key, value }] };
  }

  remove<T>(of: Collection<T>, name: string): Writes {
    this.#assertHeld(of.key(name));
    return remove(of, name);
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
