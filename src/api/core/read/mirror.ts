import { type Collection, decodeRecord } from "../../../datastore/collection.ts";
import type { Change, Datastore } from "../../../datastore/datastore.ts";
import type { Stored } from "../../../datastore/records.ts";

export type MirrorListener<T> = (
  key: string,
  before: Stored<T> | undefined,
  after: Stored<T> | undefined,
) => void;

/**
 * A collection kept in memory by watching it, for what must look at all of it on every request. It may
 * lag behind the datastore, so whoever decides by it writes on the condition that it was right.
 */
export class Mirror<T> implements Disposable {
  readonly #of: Collection<T>;
  readonly #listener: MirrorListener<T>;
  readonly #stored = new Map<string, Stored<T>>();
  readonly #stop: () => void;

  private constructor(datastore: Datastore, of: Collection<T>, listener: MirrorListener<T>) {
    this.#of = of;
    this.#listener = listener;
    this.#stop = datastore.watch(of.prefix, (changes) => changes.forEach((c) => this.#apply(c)));
  }

  static async open<T>(
    datastore: Datastore,
    of: Collection<T>,
    listener: MirrorListener<T> = () => {},
  ): Promise<Mirror<T>> {
    const mirror = new Mirror(datastore, of, listener);
    for (const entry of await datastore.list(of.prefix)) {
      // What the watch brought while the list was being read is newer.
      if (!mirror.#stored.has(entry.key)) mirror.#apply({ kind: "put", entry });
    }
    return mirror;
  }

  get(...parts: readonly string[]): Stored<T> | undefined {
    return this.#stored.get(this.#of.key(...parts));
  }

  values(): MapIterator<Stored<T>> {
    return this.#stored.values();
  }

  [Symbol.dispose](): void {
    this.#stop();
  }

  #apply(change: Change): void {
    const key = change.kind === "put" ? change.entry.key : change.key;
    const before = this.#stored.get(key);
    if (change.kind === "delete") {
      this.#stored.delete(key);
      this.#listener(key, before, undefined);
      return;
    }
    const { revision, value } = change.entry;
    const after = { key, revision, value: decodeRecord(this.#of, key, value) };
    this.#stored.set(key, after);
    this.#listener(key, before, after);
  }
}
