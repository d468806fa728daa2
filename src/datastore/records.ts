import { type Collection, decodeRecord, type KeyParts } from "./collection.ts";
import type { Datastore, Entry, Page } from "./datastore.ts";
import type { Part } from "./key.ts";

/** A decoded record. Do not change it: others may hold the same one. */
export interface Stored<T> {
  readonly key: string;
  readonly revision: number;
  readonly value: T;
}

const CACHE_ENTRIES_MAX = 50_000;

/** Reads records of any collection. It decodes a record once for each revision. */
export class Records {
  readonly #datastore: Datastore;
  readonly #cache = new Map<string, Stored<unknown>>();

  constructor(datastore: Datastore) {
    this.#datastore = datastore;
  }

  async find<T, F extends Part>(
    of: Collection<T, F>,
    ...parts: KeyParts<F>
  ): Promise<Stored<T> | undefined> {
    const entry = await this.#datastore.get(of.key(...parts));
    return entry === undefined ? undefined : this.#decode(of, entry);
  }

  /** In key order. With `parts`, only the records under them. */
  async list<T, F extends Part>(
    of: Collection<T, F>,
    parts: readonly [] | KeyParts<F> = [],
    page?: Page,
  ): Promise<readonly Stored<T>[]> {
    return await this.listPrefix(of, of.under(...parts), page);
  }

  /** All records, with the revision from which to watch. */
  async snapshot<T>(
    of: Collection<T, Part>,
  ): Promise<{ readonly stored: readonly Stored<T>[]; readonly revision: number }> {
    const { entries, revision } = await this.#datastore.snapshot(of.prefix);
    return { stored: entries.map((entry) => this.#decode(of, entry)), revision };
  }

  /** Like `list`, but matches the beginning of the last part. */
  async listPrefix<T>(
    of: Collection<T, Part>,
    prefix: string,
    page?: Page,
  ): Promise<readonly Stored<T>[]> {
    const entries = await this.#datastore.list(prefix, page);
    return entries.map((entry) => this.#decode(of, entry));
  }

  #decode<T>(of: Collection<T, Part>, entry: Entry): Stored<T> {
    const known = this.#cache.get(entry.key);
    // A key belongs to one collection, so the cached value has the type of that collection.
    if (known?.revision === entry.revision) return known as Stored<T>;
    const { key, revision } = entry;
    const stored = { key, revision, value: decodeRecord(of, key, entry.value) };
    if (this.#cache.size >= CACHE_ENTRIES_MAX) {
      for (const oldest of this.#cache.keys()) {
        this.#cache.delete(oldest);
        if (this.#cache.size < CACHE_ENTRIES_MAX) break;
      }
    }
    this.#cache.set(key, stored);
    return stored;
  }
}
